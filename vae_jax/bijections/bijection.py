"""The protocol of a bijection, and the bijections that compose, invert or permute.

The network inside a bijection, its `conditioner`, is a `jax.tree_util.Partial(apply, params)`, so that its parameters
can be frozen and stacked. Where the outputs of the conditioner are zero, the bijection is the identity.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_point
from vae_jax.core.types import Array, PyTree


@runtime_checkable
class Bijection(Protocol):
    """The two methods of a bijection, which must also be a pytree."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])` of one `z` `[d]`."""
        ...

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])` of one `y` `[d]`."""
        ...


def _solve_transposed(bijection: Any, z: Array, y: Array, gradient: Array) -> Array:
    """`J(z)⁻ᵀ gradient`, by the bijection's own method or by the derivative of its inverse at `y` = forward(z)."""
    if hasattr(bijection, "solve_transposed"):
        return bijection.solve_transposed(z, gradient)
    z, transposed = jax.vjp(lambda y: bijection.inverse(y)[0], y)
    return transposed(gradient.astype(z.dtype))[0]


def push_through(bijection: Any, z: Array, gradient: Array) -> tuple[Array, Array, Array]:
    """`(y, log|det J|, ∂ log q(y)/∂y)` from `z` and `gradient` = ∂ log q(z)/∂z."""
    if hasattr(bijection, "push"):
        return bijection.push(z, gradient)

    def log_det_and_y(z: Array) -> tuple[Array, Array]:
        y, log_det = bijection.forward(z)
        return log_det, y

    (log_det, y), slope = jax.value_and_grad(log_det_and_y, has_aux=True)(z)
    return y, log_det, _solve_transposed(bijection, z, y, gradient - slope)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Inverse:
    """A bijection turned around: a flow with it has cheap densities where the other has cheap samples."""

    bijection: Any

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`inverse` of the bijection."""
        return self.bijection.inverse(z)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`forward` of the bijection."""
        return self.bijection.forward(y)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Composed:
    """Bijections one after the other, the first of `layers` first."""

    layers: tuple[Any, ...]

    def forward(self, z: Array) -> tuple[Array, Array]:
        """All of them in turn."""
        total = jnp.zeros(())
        for layer in self.layers:
            z, log_det = layer.forward(z)
            total = total + log_det
        return z, total

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """Their inverses, the last first."""
        total = jnp.zeros(())
        for layer in reversed(self.layers):
            y, log_det = layer.inverse(y)
            total = total + log_det
        return y, total

    def push(self, z: Array, gradient: Array) -> tuple[Array, Array, Array]:
        """`(y, log|det J|, ∂ log q(y)/∂y)`, layer by layer."""
        total = jnp.zeros(())
        for layer in self.layers:
            z, log_det, gradient = push_through(layer, z, gradient)
            total = total + log_det
        return z, total, gradient


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Stacked:
    """K bijections of one kind in one scan: `layers` is one bijection with stacked leaves `[K, …]`.

    It compiles in the time of one layer, whatever K.
    """

    layers: Any

    def forward(self, z: Array) -> tuple[Array, Array]:
        """All K in turn."""
        z = self._widened(lambda layer, z: layer.forward(z)[0], z)
        y, log_dets = jax.lax.scan(lambda z, layer: layer.forward(z), z, self.layers)
        return y, jnp.sum(log_dets)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """Their inverses, the last first."""
        y = self._widened(lambda layer, y: layer.inverse(y)[0], y)
        z, log_dets = jax.lax.scan(lambda y, layer: layer.inverse(y), y, self.layers, reverse=True)
        return z, jnp.sum(log_dets)

    def push(self, z: Array, gradient: Array) -> tuple[Array, Array, Array]:
        """`(y, log|det J|, ∂ log q(y)/∂y)`, layer by layer."""

        def step(carry: tuple[Array, Array], layer: Any) -> tuple[tuple[Array, Array], Array]:
            y, log_det, gradient = push_through(layer, *carry)
            return (y, gradient), log_det

        z, gradient = self._widened(lambda layer, both: push_through(layer, *both)[::2], (z, gradient))
        (y, gradient), log_dets = jax.lax.scan(step, (z, gradient), self.layers)
        return y, jnp.sum(log_dets), gradient

    def _widened(self, step: Callable[[Any, PyTree], PyTree], carry: PyTree) -> PyTree:
        """What a scan carries, of the one type in which a layer gives it: its numbers may be wider than z."""
        made = jax.eval_shape(step, jax.tree.map(lambda leaf: leaf[0], self.layers), carry)
        kind = jnp.result_type(*jax.tree.leaves((carry, made)))
        return jax.tree.map(lambda leaf: leaf.astype(kind), carry)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Reverse:
    """`y[i] = z[d − 1 − i]`, to go between layers: it is faster than `permute`, whose gradient is a scatter."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        """The vector in reverse order; the log-determinant is 0."""
        return jnp.flip(z), jnp.zeros(())

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`forward`, which is its own inverse."""
        return self.forward(y)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Permute:
    """`y[i] = z[order[i]]`, made by `permute`."""

    order: tuple[int, ...] = field(metadata={"static": True})

    def forward(self, z: Array) -> tuple[Array, Array]:
        """The vector in the new order; the log-determinant is 0."""
        check_point("Permute.forward", "z", z, (len(self.order),))
        return z[np.asarray(self.order)], jnp.zeros(())

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """The permutation undone."""
        check_point("Permute.inverse", "y", y, (len(self.order),))
        return y[np.argsort(self.order)], jnp.zeros(())


def permute(order: Any) -> Permute:
    """The bijection that reorders a vector. ValueError unless `order` holds each of 0..d-1 once."""
    places = tuple(int(i) for i in order)
    if sorted(places) != list(range(len(places))):
        raise ValueError(f"permute: order must hold each of 0..{len(places) - 1} once, got {places}.")
    return Permute(places)
