"""Distributions: immutable pytrees that speak of one example.

A distribution is any pytree with two methods (`Distribution` below): `sample(key, shape=())` draws
values of shape `shape + event_shape`, and `log_prob(value)` is the log-density of ONE value, a scalar in
nats. There is no batch shape: a batch of distributions is a distribution whose leaves were stacked by
`jax.vmap`, and it is used inside another `jax.vmap`. Objects of other libraries that keep to these two
methods (numpyro's with `.to_event()`) work as they are.

A sample knows its density. Estimators never call `log_prob` on a sample of their own; they call
`sample_and_log_prob` or `sample_and_path_log_prob` of this module, which use the distribution's method of
that name where it has one (a flow never inverts its own sample) and the two basic methods otherwise.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.checks import check_key, check_value

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)

Array = jax.Array
# A typed PRNG key, made by `jax.random.key(seed)`.
Key = jax.Array
PyTree = Any


@runtime_checkable
class Distribution(Protocol):
    """What every posterior, prior and likelihood must offer. It must also be a pytree."""

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Any:
        """Draw values of shape `shape + event_shape` (a pytree of them for structured events)."""
        ...

    def log_prob(self, value: Any) -> Array:
        """Log-density of one `value`: a scalar, in nats."""
        ...


def freeze(tree: PyTree) -> PyTree:
    """`stop_gradient` on every inexact array of a pytree; other leaves (integers, functions) pass through."""

    def stop(leaf: Any) -> Any:
        inexact = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
        return lax.stop_gradient(leaf) if inexact else leaf

    return jax.tree.map(stop, tree)


def sample_and_log_prob(distribution: Any, key: Key) -> tuple[Any, Array]:
    """One sample `z` and `log q(z)`, with the full gradient (through `z` and through the parameters)."""
    if hasattr(distribution, "sample_and_log_prob"):
        return distribution.sample_and_log_prob(key)
    value = distribution.sample(key)
    return value, distribution.log_prob(value)


def sample_and_path_log_prob(distribution: Any, key: Key) -> tuple[Any, Array]:
    """One sample `z` and `log q(z)`, whose gradient flows through `z` alone (the path derivative)."""
    if hasattr(distribution, "sample_and_path_log_prob"):
        return distribution.sample_and_path_log_prob(key)
    value = distribution.sample(key)
    return value, freeze(distribution).log_prob(value)


def check_reparameterised(where: str, distribution: Any) -> None:
    """Refuse, with a TypeError, a distribution whose samples carry no gradient (or one that is made of such)."""

    def marked(node: Any) -> bool:
        return hasattr(type(node), "reparameterised")

    for node in jax.tree.leaves(distribution, is_leaf=marked):
        if not getattr(node, "reparameterised", True):
            raise TypeError(
                f"{where}: samples of the posterior {type(node).__name__} carry no gradient, so its result would be "
                "wrong. For discrete latents: score(bound)."
            )


def reparameterize(key: Key, loc: Array, scale: Array | float) -> Array:
    """A sample `loc + scale * eps` of `N(loc, scale²)`, `eps ~ N(0, 1)`, differentiable in both.

    `loc` and `scale` broadcast against each other; the result has their common shape.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114.
    """
    check_key("reparameterize", key)
    loc = jnp.asarray(loc)
    shape = jnp.broadcast_shapes(jnp.shape(loc), jnp.shape(scale))
    eps = jax.random.normal(key, shape, jnp.result_type(loc, float))
    return jnp.broadcast_to(loc, shape) + jnp.broadcast_to(scale, shape) * eps


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class DiagNormal:
    """Independent normals: `log p(v) = Σ_j log N(v_j; loc_j, scale_j²)`.

    `loc` and `scale` (standard deviation, > 0) broadcast to the event shape, so a scalar `scale` is the
    isotropic `N(μ, σ²I)`, and a Gaussian decoder has a fixed, shared or predicted `scale` alike.
    """

    loc: Array
    scale: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return jnp.broadcast_shapes(jnp.shape(self.loc), jnp.shape(self.scale))

    @property
    def mean(self) -> Array:
        """`loc`, in the event shape."""
        return jnp.broadcast_to(self.loc, self.event_shape)

    @property
    def stddev(self) -> Array:
        """`scale`, in the event shape."""
        return jnp.broadcast_to(self.scale, self.event_shape)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + event_shape`."""
        shape = (*shape, *self.event_shape)
        return reparameterize(key, jnp.broadcast_to(self.mean, shape), jnp.broadcast_to(self.stddev, shape))

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        check_value("DiagNormal", value, self.event_shape)
        return self._log_density((value - self.mean) / self.stddev)

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """The noise gives the density at once: no subtraction, no division by a small scale."""
        check_key("DiagNormal.sample_and_log_prob", key)
        mean = self.mean
        eps = jax.random.normal(key, mean.shape, jnp.result_type(mean, float))
        return mean + self.stddev * eps, self._log_density(eps)

    def _log_density(self, standardised: Array) -> Array:
        return jnp.sum(-0.5 * jnp.square(standardised) - jnp.log(self.stddev) - _HALF_LOG_2PI)


def standard_normal(shape: int | tuple[int, ...]) -> DiagNormal:
    """The usual prior, `N(0, I)` with events of `shape`."""
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
        return jnp.shape(self.loc)

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
        check_key("FullNormal.sample", key)
        eps = jax.random.normal(key, (*shape, *self.event_shape), jnp.result_type(self.loc, float))
        return jnp.broadcast_to(self.loc, eps.shape) + eps @ self.tril.T

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        check_value("FullNormal", value, self.event_shape)
        return self._log_density(jax.scipy.linalg.solve_triangular(self.tril, value - self.loc, lower=True))

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """The noise gives the density at once, without a triangular solve."""
        check_key("FullNormal.sample_and_log_prob", key)
        eps = jax.random.normal(key, self.event_shape, jnp.result_type(self.loc, float))
        return self.loc + self.tril @ eps, self._log_density(eps)

    def _log_density(self, standardised: Array) -> Array:
        log_det = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(self.scale_tril))))
        return jnp.sum(-0.5 * jnp.square(standardised) - _HALF_LOG_2PI) - log_det


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Bernoulli:
    """Independent bits: `log p(v) = Σ_j [v_j l_j − log(1 + exp l_j)]`, `l = logits` of any shape.

    A likelihood only for `v ∈ {0, 1}`: for grey values this expression does not integrate to one.
    """

    logits: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return jnp.shape(self.logits)

    @property
    def mean(self) -> Array:
        """Probabilities of a one."""
        return jax.nn.sigmoid(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values 0. and 1., of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Bernoulli.sample", key)
        shape = (*shape, *self.event_shape)
        return jax.random.bernoulli(key, jnp.broadcast_to(self.mean, shape), shape).astype(self.logits.dtype)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar."""
        check_value("Bernoulli", value, self.event_shape)
        # Flat, because XLA on CPU vectorises badly over a last axis of one colour.
        logits = jnp.ravel(self.logits)
        # Written out, because `jax.nn.softplus` is the dearer form on CPU; finite at logits ±1e4.
        softplus = jnp.maximum(logits, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))
        return jnp.sum(jnp.ravel(value) * logits - softplus)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Categorical:
    """Independent choices among `K`: `logits` of shape `event_shape + (K,)`, values are integers 0..K-1."""

    logits: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value: that of the logits without the last axis."""
        return jnp.shape(self.logits)[:-1]

    @property
    def probs(self) -> Array:
        """Probabilities, of the shape of the logits."""
        return jax.nn.softmax(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Categorical.sample", key)
        shape = (*shape, *self.event_shape)
        return jax.random.categorical(key, jnp.broadcast_to(self.logits, (*shape, self.logits.shape[-1])))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar. `value` holds integers."""
        check_value("Categorical", value, self.event_shape)
        if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
            raise TypeError(
                f"Categorical.log_prob: value must hold integers 0..{self.logits.shape[-1] - 1}, got "
                f"{jnp.result_type(value)}. For one-hot values: jnp.argmax(value, -1)."
            )
        # Shifted before the choice: the difference keeps its digits at logits of 1e4.
        log_probs = jax.nn.log_softmax(self.logits)
        chosen = jnp.take_along_axis(log_probs, jnp.asarray(value)[..., None], axis=-1)
        return jnp.sum(chosen)
