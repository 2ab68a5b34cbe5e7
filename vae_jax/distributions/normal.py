"""Normal distributions: independent, isotropic or with a full covariance."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_array, check_count, check_key, check_positive, check_value, parameter_shape
from vae_jax.core.trees import as_float, summed, wide_type, widened
from vae_jax.core.types import Array, Key

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


def reparameterize(key: Key, loc: Array, scale: Array | float) -> Array:
    """A sample `loc + scale * eps` of `N(loc, scale²)`, `eps ~ N(0, 1)`, differentiable in `loc` and `scale`.

    `loc` and `scale` broadcast against each other; the result has their common shape. TypeError for an untyped key.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114.
    """
    check_key("reparameterize", key)
    shape = parameter_shape("reparameterize", loc=loc, scale=scale)
    kind = jnp.result_type(loc, float)
    # Noise of half precision has few values and short tails.
    eps = jax.random.normal(key, shape, wide_type(kind))
    drawn = jnp.broadcast_to(loc, shape) + jnp.broadcast_to(scale, shape) * eps
    return drawn.astype(jnp.result_type(loc, scale, kind))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class DiagNormal:
    """Independent normals: `log p(v) = Σ_j log N(v_j; loc_j, scale_j²)`.

    `loc` and `scale` (standard deviation, > 0) broadcast to the event shape, so a scalar `scale` gives the
    isotropic `N(μ, σ²I)`.
    """

    loc: Array
    scale: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return parameter_shape("DiagNormal", loc=self.loc, scale=self.scale)

    @property
    def mean(self) -> Array:
        """`loc`, in the event shape."""
        return jnp.broadcast_to(as_float(self.loc), self.event_shape)

    @property
    def stddev(self) -> Array:
        """`scale`, in the event shape."""
        return jnp.broadcast_to(as_float(self.scale), self.event_shape)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + event_shape`."""
        check_key("DiagNormal.sample", key, shape)
        check_positive("DiagNormal", scale=self.scale)
        shape = (*shape, *self.event_shape)
        return reparameterize(key, jnp.broadcast_to(self.mean, shape), jnp.broadcast_to(self.stddev, shape))

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-density of every element, in the event shape, nats."""
        check_value("DiagNormal", value, self.event_shape)
        return self._log_densities((value - widened(self.mean)) / widened(self.stddev))

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """A sample and its log-density, from the noise: no subtraction, no division by a small scale."""
        check_key("DiagNormal.sample_and_log_prob", key)
        mean, stddev = self.mean, self.stddev
        kind = jnp.result_type(mean, float)
        eps = jax.random.normal(key, mean.shape, wide_type(kind))
        return (mean + stddev * eps).astype(jnp.result_type(stddev, kind)), summed(self._log_densities(eps))

    def _log_densities(self, standardised: Array) -> Array:
        check_positive("DiagNormal", scale=self.scale)
        return -0.5 * jnp.square(standardised) - jnp.log(widened(self.stddev)) - _HALF_LOG_2PI


def standard_normal(shape: int | tuple[int, ...]) -> DiagNormal:
    """`N(0, I)` with events of `shape`: the usual prior."""
    for size in shape if isinstance(shape, tuple) else (shape,):
        check_count("standard_normal", "shape", size)
    return DiagNormal(jnp.zeros(shape), jnp.ones(shape))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class FullNormal:
    """`N(loc, L Lᵀ)`, `loc` of shape `[d]`, `L = scale_tril` of shape `[d, d]`.

    Only the lower triangle of `scale_tril` is read, in the sampler as in the density. Its diagonal must not
    be zero.
    """

    loc: Array
    scale_tril: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, `(d,)`."""
        shape = parameter_shape("FullNormal", least_rank=1, loc=self.loc)
        check_array("FullNormal", "scale_tril", self.scale_tril)
        if len(shape) > 1 or jnp.shape(self.scale_tril) != shape * 2:
            raise ValueError(
                f"FullNormal: loc must have shape (d,) and scale_tril (d, d), got {shape} and "
                f"{jnp.shape(self.scale_tril)}. For a batch: jax.vmap."
            )
        return shape

    @property
    def mean(self) -> Array:
        """`loc`, `[d]`."""
        return self.loc

    @property
    def tril(self) -> Array:
        """The lower triangle `L`, `[d, d]`."""
        return jnp.tril(self.scale_tril)

    @property
    def covariance(self) -> Array:
        """`L Lᵀ`, `[d, d]`."""
        return self.tril @ self.tril.T

    @property
    def stddev(self) -> Array:
        """Marginal standard deviations, `[d]`."""
        return jnp.sqrt(jnp.sum(jnp.square(self.tril), axis=-1))

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + (d,)`."""
        check_key("FullNormal.sample", key, shape)
        eps = jax.random.normal(key, (*shape, *self.event_shape), wide_type(self.loc))
        drawn = jnp.broadcast_to(self.loc, eps.shape) + eps @ self.tril.T
        return drawn.astype(jnp.result_type(self.loc, self.scale_tril))

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        check_value("FullNormal", value, self.event_shape)
        offset = value - widened(self.loc)
        return self._log_density(jax.scipy.linalg.solve_triangular(widened(self.tril), offset, lower=True))

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """A sample and its log-density, from the noise: no triangular solve."""
        check_key("FullNormal.sample_and_log_prob", key)
        eps = jax.random.normal(key, self.event_shape, wide_type(self.loc))
        drawn = self.loc + self.tril @ eps
        return drawn.astype(jnp.result_type(self.loc, self.scale_tril)), self._log_density(eps)

    def _log_density(self, standardised: Array) -> Array:
        log_det = summed(jnp.log(jnp.abs(jnp.diagonal(widened(self.scale_tril)))))
        return summed(-0.5 * jnp.square(standardised) - _HALF_LOG_2PI) - log_det
