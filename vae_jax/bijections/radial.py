"""The radial layer: a vector is moved towards a centre, or away from it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_array, check_point
from vae_jax.core.types import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Radial:
    """`y = z + β̂ (z − c) / (α + |z − c|)`; `centre` c `[d]`, `log_alpha` `[]`, `beta` `[]`.

    β̂ = −α + softplus(`beta`) > −α, so the layer is invertible, in closed form; α = exp(`log_alpha`).

    Source: Variational Inference with Normalizing Flows, arXiv 1505.05770.
    """

    centre: Array
    log_alpha: Array
    beta: Array

    def _stretch(self, r: Array) -> tuple[Array, Array]:
        """The factors by which the map stretches across the radius and along it, at distance `r` from the centre."""
        alpha, inner = jnp.exp(self.log_alpha), jax.nn.softplus(self.beta)
        # As sums of positive numbers: 1 + β̂h would cancel where the flow contracts.
        across = (r + inner) / (alpha + r)
        along = (2.0 * alpha * r + jnp.square(r) + alpha * inner) / jnp.square(alpha + r)
        return across, along

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        check_point("Radial.forward", "z", z, jnp.shape(self.centre))
        check_array("Radial.forward", "log_alpha", self.log_alpha, rank=0)
        check_array("Radial.forward", "beta", self.beta, rank=0)
        offset = z - self.centre
        across, along = self._stretch(_length(offset))
        return self.centre + across * offset, (z.size - 1) * jnp.log(across) + jnp.log(along)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        check_point("Radial.inverse", "y", y, jnp.shape(self.centre))
        check_array("Radial.inverse", "log_alpha", self.log_alpha, rank=0)
        check_array("Radial.inverse", "beta", self.beta, rank=0)
        alpha, inner = jnp.exp(self.log_alpha), jax.nn.softplus(self.beta)
        offset = y - self.centre
        far = _length(offset)
        # The positive root of r² + (inner − far) r − far α, in the form that does not cancel.
        half = 0.5 * (far - inner)
        root = jnp.sqrt(jnp.square(half) + far * alpha)
        r = jnp.where(half > 0.0, half + root, far * alpha / (root + jnp.abs(half)))
        across, along = self._stretch(r)
        return self.centre + offset / across, -(y.size - 1) * jnp.log(across) - jnp.log(along)

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient`: the Jacobian stretches along the radius by one factor, across it by another."""
        offset = z - self.centre
        r = _length(offset)
        across, along = self._stretch(r)
        radius = offset / r
        return gradient / across + (1.0 / along - 1.0 / across) * jnp.dot(radius, gradient) * radius


def _length(offset: Array) -> Array:
    # The gradient of a norm at zero is NaN.
    return jnp.sqrt(jnp.sum(jnp.square(offset)) + 1e-24)
