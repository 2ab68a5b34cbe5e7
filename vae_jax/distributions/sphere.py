"""Directions: distributions on the unit sphere of d dimensions, densities with respect to its area.

The normaliser of von Mises and Fisher is a Bessel function whose order grows with d (`sphere_integral.py`). In float32,
for 2 to 4,096 dimensions and concentrations of 1e-3 to 1e6, the mean and the KL to the uniform distribution are right
to 5e-6 of their size, however small, and their derivatives in κ to 5e-5; the log-density is right to 3e-6 of its
largest term.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_array, check_count, check_key, check_positive, check_value, parameter_shape
from vae_jax.core.keys import as_threefry
from vae_jax.core.trees import freeze, summed
from vae_jax.core.types import Array, Key
from vae_jax.distributions.distribution import draws
from vae_jax.distributions.sphere_integral import SphereIntegral, sphere_integral


def _log_area(size: int) -> float:
    """Logarithm of the area of the unit sphere in `size` dimensions."""
    return math.log(2.0) + 0.5 * size * math.log(math.pi) - math.lgamma(0.5 * size)


def _directions(key: Key, shape: tuple[int, ...], dtype: Any = float) -> Array:
    """Unit vectors of the last axis, every direction alike."""
    normal = jax.random.normal(key, shape, dtype)
    if shape[-1] == 1:
        # The two directions of a line; a normal number that is 0 would have none.
        return jnp.where(normal < 0.0, -1.0, 1.0)
    return normal / jnp.linalg.norm(normal, axis=-1, keepdims=True)


def _turned(value: Array, unit: Array) -> Array:
    """The unit vector `value` `[d]` reflected so that the first axis comes to lie on `unit`; of length one again.

    Of the two reflections that bring the axis onto the line of `unit` the one whose mirror is not a small difference.
    """
    sign = jnp.where(unit[0] < 0.0, -1.0, 1.0)
    mirror = unit.at[0].add(sign)
    turned = sign * (jnp.dot(mirror, value) / (1.0 + jnp.abs(unit[0])) * mirror - value)
    # The product of many numbers is rounded.
    return turned / jnp.linalg.norm(turned)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class UniformSphere:
    """Every direction of `size` dimensions alike: the prior of a posterior on the sphere."""

    size: int = field(metadata={"static": True})

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, `(d,)`."""
        check_count("UniformSphere", "size", self.size)
        return (self.size,)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Unit vectors, `shape + (d,)`."""
        check_key("UniformSphere.sample", key, shape)
        return _directions(key, (*shape, *self.event_shape))

    def log_prob(self, value: Array) -> Array:
        """Minus the logarithm of the area, nats."""
        check_value("UniformSphere", value, self.event_shape)
        return jnp.asarray(-_log_area(self.size))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class VonMisesFisher:
    """`p(v) ∝ exp(κ μ · v)` on the unit sphere, μ = direction / |direction|, κ = `concentration` > 0.

    `direction`: any vector `[d]` but zero, d at least 2; `concentration`: a scalar.

    Samples are reparameterised in μ by construction and in κ by the implicit derivative of the angle, so that their
    gradient is exact. Of the samples first derivatives only.

    Source: Hyperspherical Variational Auto-Encoders, arXiv 1804.00891; Implicit Reparameterization Gradients,
    arXiv 1805.08498.
    """

    direction: Array
    concentration: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, `(d,)`."""
        shape = parameter_shape("VonMisesFisher", least_rank=1, direction=self.direction)
        check_array("VonMisesFisher", "concentration", self.concentration)
        if len(shape) != 1 or shape[0] < 2 or jnp.shape(self.concentration):
            raise ValueError(
                f"VonMisesFisher: direction must have shape (d,), d at least 2, and concentration be one number, got "
                f"{shape} and {jnp.shape(self.concentration)}. For a batch: jax.vmap."
            )
        return shape

    @property
    def unit(self) -> Array:
        """The mean direction μ, `[d]`."""
        # Scaled first, since the square of a short vector can be 0.
        direction = self.direction / freeze(jnp.max(jnp.abs(self.direction)))
        return direction / jnp.linalg.norm(direction)

    @property
    def mean(self) -> Array:
        """E[v], inside the sphere."""
        return self.integral.cosine * self.unit

    @property
    def integral(self) -> SphereIntegral:
        """What normalises the density, with the mean cosine of the angle to μ and the KL to the uniform."""
        return sphere_integral(self.concentration, self.event_shape[0])

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised unit vectors, `shape + (d,)`."""
        check_key("VonMisesFisher.sample", key, shape)
        size = self.event_shape[0]
        check_positive("VonMisesFisher", concentration=self.concentration)
        unit = self.unit

        def one(key: Key) -> Array:
            angle_key, around_key = jax.random.split(key)
            angle = self._angle(angle_key)
            around = _directions(around_key, (size - 1,), self.direction.dtype)
            return _turned(jnp.concatenate([jnp.cos(angle)[None], jnp.sin(angle) * around]), unit)

        return draws(one, key, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar, with respect to the area of the sphere."""
        check_value("VonMisesFisher", value, self.event_shape)
        check_positive("VonMisesFisher", concentration=self.concentration)
        # μ · v − 1 as −½ |v − μ|², which keeps its digits where κ is large.
        offset = -0.5 * self.concentration * summed(jnp.square(value - self.unit))
        return offset - self.integral.log_mean - _log_area(self.event_shape[0])

    def _angle(self, key: Key) -> Array:
        """The angle to μ by rejection, with the derivative in κ that keeps its distribution function where it is.

        Wood's proposal is `tan²(θ/2) = b F`, F the ratio of two sums of d − 1 squared normals and b as below. The ratio
        of the densities, by which it is accepted, is `((1 + y) e^{−y})^{d−1}` with `y` as below: that form loses no
        digits at any κ or d.

        Source: Simulation of the von Mises Fisher distribution (Wood, 1994).
        """
        kappa, size = freeze(self.concentration), self.event_shape[0]
        b = (size - 1) / (2.0 * kappa + jnp.hypot(2.0 * kappa, size - 1.0))

        def proposal(key: Key) -> tuple[Array, Array]:
            squares_key, accept_key = jax.random.split(key)
            near, far = jnp.sum(jnp.square(jax.random.normal(squares_key, (2, size - 1))), axis=1)
            y = 2.0 * kappa * b * (near - far) / ((size - 1) * (1.0 + b) * (far + b * near))
            least = jnp.log(jax.random.uniform(accept_key, minval=jnp.finfo(jnp.float32).tiny))
            angle = 2.0 * jnp.arctan2(jnp.sqrt(b * near), jnp.sqrt(far))
            # Not "at least": a NaN is accepted, and comes out, where it would be refused for ever.
            return angle, ~((size - 1) * (jnp.log1p(y) - y) < least)

        def again(state: tuple[Key, Array, Array]) -> tuple[Key, Array, Array]:
            key, _, _ = state
            key, draw_key = jax.random.split(key)
            return key, *proposal(draw_key)

        start = (as_threefry(key), jnp.zeros(()), jnp.asarray(False))
        _, angle, _ = jax.lax.while_loop(lambda state: ~state[2], again, start)
        angle = freeze(angle)
        return angle + freeze(_angle_slope(angle, kappa, size)) * (self.concentration - kappa)


@functools.cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Legendre's points between 0 and 1, and their weights, made when they are first needed."""
    points, weights = np.polynomial.legendre.leggauss(64)
    return (0.5 * (1.0 + points)).astype(np.float32), (0.5 * weights).astype(np.float32)


def _angle_slope(angle: Array, concentration: Array, size: int) -> Array:
    """dθ/dκ at a fixed value of the distribution function: `−∂F/∂κ / p(θ)`."""
    # p(θ) ∝ exp(κ cos θ) sin^{d−2} θ; from its largest value, at cosine c, this is the width of its peak.
    cosine = 2.0 * concentration / (size - 2.0 + jnp.hypot(2.0 * concentration, size - 2.0))
    width = jax.lax.rsqrt(concentration * cosine + concentration / cosine)
    # The integral of (cos − mean) p from either end, from the one where the integrand has one sign, and from no further
    # than where there is anything.
    gap = sphere_integral(concentration, size).gap
    near = 2.0 * jnp.square(jnp.sin(0.5 * angle)) < gap
    reach = jnp.minimum(12.0 * width, jnp.where(near, angle, math.pi - angle))
    points, weights = _rule()
    steps = jnp.where(near, -reach, reach) * points
    middles = jnp.sin(0.5 * steps)
    rise = -2.0 * concentration * middles * jnp.sin(angle + 0.5 * steps)
    if size > 2:
        # log sin(θ + step) − log sin θ.
        share = jnp.sin(steps) / jnp.tan(angle) - 2.0 * jnp.square(middles)
        rise += (size - 2) * jnp.log1p(jnp.maximum(share, -1.0 + jnp.finfo(share.dtype).epsneg))
    above = gap - 2.0 * jnp.square(jnp.sin(0.5 * (angle + steps)))
    integral = reach * jnp.sum(weights * above * jnp.exp(rise))
    return jnp.where(near, -integral, integral)
