"""The planar layer: a vector is moved along one direction, as far as its component along another says."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_array, check_point
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Planar:
    """`y = z + û tanh(w · z + b)`; `u`, `w`: `[d]`, `b`: `[]`. û is u, moved along w so that w · û > −1.

    This makes the layer invertible. The inverse is a root in one dimension, found by bisection.

    Source: Variational Inference with Normalizing Flows, arXiv 1505.05770.
    """

    u: Array
    w: Array
    b: Array

    def _parts(self) -> tuple[Array, Array]:
        """`(û, w · û)`."""
        along = jnp.dot(self.w, self.u)
        # At −1 itself it could not be inverted, and far below 0 a softplus is 0.
        least = jnp.finfo(along.dtype).eps - 1.0
        wanted = jnp.maximum(jax.nn.softplus(along) - 1.0, least)
        # With w = 0 the layer is a shift, which every û makes invertible.
        squared = jnp.dot(self.w, self.w)
        share = squared / (squared + 1e-12)
        u = self.u + (wanted - along) * self.w / (squared + 1e-12)
        # As a product of w and û it would lose its digits where both are large.
        return u, jnp.maximum(share * wanted + (1.0 - share) * along, least)

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        check_point("Planar.forward", "z", z, jnp.shape(self.w))
        check_array("Planar.forward", "b", self.b, rank=0)
        u, along = self._parts()
        h = jnp.tanh(jnp.dot(self.w, z) + self.b)
        return z + u * h, jnp.log1p(along * (1.0 - jnp.square(h)))

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        check_point("Planar.inverse", "y", y, jnp.shape(self.w))
        check_array("Planar.inverse", "b", self.b, rank=0)
        u, along = self._parts()
        target = jnp.dot(self.w, y) + self.b
        a = _increasing_root(lambda a, along: a + along * jnp.tanh(a), target, along, jnp.abs(along))
        h = jnp.tanh(a)
        return y - u * h, -jnp.log1p(along * (1.0 - jnp.square(h)))

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient`, by Sherman and Morrison's formula."""
        u, along = self._parts()
        slope = 1.0 - jnp.square(jnp.tanh(jnp.dot(self.w, z) + self.b))
        return gradient - slope * self.w * jnp.dot(u, gradient) / (1.0 + slope * along)


def _increasing_root(function: Callable[[Array, Array], Array], target: Array, parameter: Array, reach: Array) -> Array:
    """The a with `function(a, parameter) = target`, which lies within `reach` of `target`; differentiable once."""
    fixed, goal = freeze(parameter), freeze(target)

    def halve(ends: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = function(middle, fixed) > goal
        return (jnp.where(above, low, middle), jnp.where(above, middle, high)), None

    reach = freeze(reach)
    (low, high), _ = lax.scan(halve, (goal - reach, goal + reach), None, length=40)
    root = 0.5 * (low + high)
    # A Newton step from the root itself does not change the value, and carries the derivatives.
    slope = jax.grad(function)(root, fixed)
    return root - (function(root, parameter) - target) / slope
