"""Directions: distributions on the unit sphere of d dimensions, densities with respect to its area.

The normaliser of von Mises and Fisher is an integral over the angle to the mean direction, taken by Gauss and
Legendre's rule: exact to float32 for every dimension and for concentrations up to 1e5, and differentiable, where the
Bessel functions of its closed form are neither in JAX for a general order.
"""

import functools
import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_key, check_positive, check_value
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key
from vae_jax.distributions.distribution import draws


@functools.cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Points and weights of the rule on −1..1, made when they are first needed."""
    points, weights = np.polynomial.legendre.leggauss(256)
    return points.astype(np.float32), weights.astype(np.float32)


def _log_area(size: int) -> float:
    """Logarithm of the area of the unit sphere in `size` dimensions."""
    return math.log(2.0) + 0.5 * size * math.log(math.pi) - math.lgamma(0.5 * size)


def _log_slice(angle: Array, concentration: Array, size: int) -> Array:
    """Log-density of the angle to the mean direction, but for its constant: `κ (cos θ − 1) + (d − 2) log sin θ`."""
    # In float32 the sine of π is below zero.
    sine = jnp.maximum(jnp.sin(angle), 1e-30)
    return -2.0 * concentration * jnp.square(jnp.sin(0.5 * angle)) + (size - 2) * jnp.log(sine)


def _nodes(low: Array, high: Array) -> tuple[Array, Array]:
    """Points of the rule between `low` and `high`, and their weights."""
    half = 0.5 * (high - low)
    points, weights = _rule()
    return low + half * (1.0 + points), half * weights


def _log_integral(concentration: Array, size: int) -> Array:
    angles, weights = _nodes(jnp.zeros(()), jnp.asarray(math.pi))
    return jax.nn.logsumexp(_log_slice(angles, concentration, size) + jnp.log(weights))


def _mean_cosine(concentration: Array, size: int) -> Array:
    """E[μ · v], which is also 1 + the derivative of the log-integral."""
    angles, weights = _nodes(jnp.zeros(()), jnp.asarray(math.pi))
    share = jax.nn.softmax(_log_slice(angles, concentration, size) + jnp.log(weights))
    return 1.0 - jnp.sum(share * 2.0 * jnp.square(jnp.sin(0.5 * angles)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class UniformSphere:
    """Every direction of `size` dimensions alike: the prior of a posterior on the sphere."""

    size: int = field(metadata={"static": True})

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, `(d,)`."""
        return (self.size,)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Unit vectors, `shape + (d,)`."""
        check_key("UniformSphere.sample", key)
        normal = jax.random.normal(key, (*shape, self.size))
        return normal / jnp.linalg.norm(normal, axis=-1, keepdims=True)

    def log_prob(self, value: Array) -> Array:
        """Minus the logarithm of the area, nats."""
        check_value("UniformSphere", value, self.event_shape)
        return jnp.asarray(-_log_area(self.size))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class VonMisesFisher:
    """`p(v) ∝ exp(κ μ · v)` on the unit sphere, μ = direction / |direction|, κ = `concentration` > 0.

    `direction`: any vector `[d]` but zero; `concentration`: a scalar.

    Samples are reparameterised in μ by construction and in κ by the implicit derivative of the angle, so that their
    gradient is exact. First derivatives only.

    Source: Hyperspherical Variational Auto-Encoders, arXiv 1804.00891; Implicit Reparameterization Gradients,
    arXiv 1805.08498.
    """

    direction: Array
    concentration: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, `(d,)`."""
        return jnp.shape(self.direction)

    @property
    def unit(self) -> Array:
        """The mean direction μ, `[d]`."""
        return self.direction / jnp.linalg.norm(self.direction)

    @property
    def mean(self) -> Array:
        """E[v], inside the sphere."""
        return _mean_cosine(self.concentration, self.event_shape[0]) * self.unit

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised unit vectors, `shape + (d,)`."""
        check_key("VonMisesFisher.sample", key)
        check_positive("VonMisesFisher", concentration=self.concentration)
        unit = self.unit

        def one(key: Key) -> Array:
            angle_key, tangent_key = jax.random.split(key)
            angle = self._angle(angle_key)
            normal = jax.random.normal(tangent_key, self.event_shape, self.direction.dtype)
            tangent = normal - jnp.dot(normal, unit) * unit
            tangent = tangent / jnp.linalg.norm(tangent)
            return jnp.cos(angle) * unit + jnp.sin(angle) * tangent

        return draws(one, key, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar, with respect to the area of the sphere."""
        check_value("VonMisesFisher", value, self.event_shape)
        check_positive("VonMisesFisher", concentration=self.concentration)
        size = self.event_shape[0]
        # μ · v − 1 as −½ |v − μ|², which keeps its digits where κ is large.
        offset = -0.5 * self.concentration * jnp.sum(jnp.square(value - self.unit))
        # Around the circle, d = 2, the two halves are the "sphere" of one dimension.
        return offset - _log_integral(self.concentration, size) - _log_area(size - 1)

    def _angle(self, key: Key) -> Array:
        """The angle to μ by rejection, with the derivative in κ that keeps its distribution function where it is.

        Source: Simulation of the von Mises Fisher distribution (Wood, 1994).
        """
        kappa, size = freeze(self.concentration), self.event_shape[0]
        slope = (size - 1) / (2.0 * kappa + jnp.sqrt(4.0 * jnp.square(kappa) + (size - 1.0) ** 2))
        # All in t = 1 − cos θ, which keeps its digits near the mean direction.
        centre = 2.0 * slope / (1.0 + slope)

        def proposal(key: Key) -> tuple[Array, Array]:
            beta_key, accept_key = jax.random.split(key)
            squares = jnp.sum(jnp.square(jax.random.normal(beta_key, (2, size - 1))), axis=1)
            beta = squares[0] / jnp.sum(squares)
            t = 2.0 * slope * beta / (1.0 - (1.0 - slope) * beta)
            cos0 = 1.0 - centre
            log_ratio = kappa * (centre - t) + (size - 1) * (
                jnp.log(centre + cos0 * t) - jnp.log(centre * (1.0 + cos0))
            )
            return t, log_ratio >= jnp.log(jax.random.uniform(accept_key, minval=jnp.finfo(jnp.float32).tiny))

        def again(state: tuple[Key, Array, Array]) -> tuple[Key, Array, Array]:
            key, _, _ = state
            key, draw_key = jax.random.split(key)
            return key, *proposal(draw_key)

        _, t, _ = jax.lax.while_loop(lambda state: ~state[2], again, (key, jnp.zeros(()), jnp.asarray(False)))
        angle = freeze(2.0 * jnp.arcsin(jnp.sqrt(0.5 * jnp.clip(t, 0.0, 2.0))))
        return angle + freeze(_angle_slope(angle, kappa, size)) * (self.concentration - kappa)


def _angle_slope(angle: Array, concentration: Array, size: int) -> Array:
    """dθ/dκ at a fixed value of the distribution function: `−∂F/∂κ / p(θ)`."""
    mean = _mean_cosine(concentration, size)
    # The integral of (cos − mean) p from either end, from the one where the integrand has one sign.
    near = jnp.cos(angle) > mean
    angles, weights = _nodes(jnp.where(near, 0.0, angle), jnp.where(near, angle, math.pi))
    ratio = jnp.exp(_log_slice(angles, concentration, size) - _log_slice(angle, concentration, size))
    integral = jnp.sum(weights * (jnp.cos(angles) - mean) * ratio)
    return jnp.where(near, -integral, integral)
