"""The planar layer: a vector is moved along one direction, as far as its component along another says."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_array, check_point
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
        least = jnp.asarray(jnp.finfo(along.dtype).eps - 1.0, along.dtype)
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
        h = jnp.tanh(_root(target, along))
        return y - u * h, -jnp.log1p(along * (1.0 - jnp.square(h)))

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient`, by Sherman and Morrison's formula."""
        u, along = self._parts()
        slope = 1.0 - jnp.square(jnp.tanh(jnp.dot(self.w, z) + self.b))
        return gradient - slope * self.w * jnp.dot(u, gradient) / (1.0 + slope * along)


@jax.custom_jvp
def _root(target: Array, along: Array) -> Array:
    """The a with `a + along tanh(a) = target`, for along > −1."""

    def halve(ends: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = middle + along * jnp.tanh(middle) > target
        return (jnp.where(above, low, middle), jnp.where(above, middle, high)), None

    reach = jnp.abs(along)
    (low, high), _ = lax.scan(halve, (target - reach, target + reach), None, length=40)
    root = 0.5 * (low + high)
    h = jnp.tanh(root)
    return root - (root + along * h - target) / (1.0 + along * (1.0 - jnp.square(h)))


@_root.defjvp
def _root_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The derivative of an implicit function, which is one of the root itself, and so has derivatives of its own."""
    (target, along), (target_dot, along_dot) = primals, tangents
    a = _root(target, along)
    h = jnp.tanh(a)
    return a, (target_dot - h * along_dot) / (1.0 + along * (1.0 - jnp.square(h)))
