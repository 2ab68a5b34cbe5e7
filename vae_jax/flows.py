"""Normalising flows: a simple distribution pushed through bijections.

    log q(f(z0)) = log q0(z0) − log |det J_f(z0)|

A bijection is any pytree with `forward(z) -> (y, log|det ∂y/∂z|)` and `inverse(y) -> (z, log|det ∂z/∂y|)`, both of one
value `[d]`. `Transformed(base, bijection)` is the distribution: its own samples are never inverted. Bijections
compose: `Composed((f, g))` of any kinds, `Stacked(f)` of equal ones, whose leaves are stacked `[K, …]` and which run as
one scan, `Inverse(f)` turns one around. The elementary ones are in `vae_jax.bijections`.

The path derivative of log q, which `stl` and `dreg` need, asks for no inverse either. With the frozen flow,
`∂ log q(y)/∂y = J⁻ᵀ (∂ log q0(z)/∂z − ∂ log|det J(z)|/∂z)`, layer after layer on the way forward; a bijection whose
inverse is dear brings `solve_transposed(z, g) -> J(z)⁻ᵀ g`.

Source: Variational Inference with Normalizing Flows, arXiv 1505.05770; the recursion: Fast and Unified Path Gradient
Estimators for Normalizing Flows, arXiv 2403.15881.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.checks import check_key, check_value
from vae_jax.distributions import Array, Distribution, Key, draws, freeze, sample_and_log_prob


@runtime_checkable
class Bijection(Protocol):
    """What a flow is made of. It must also be a pytree."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])` of one `z` `[d]`."""
        ...

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])` of one `y` `[d]`."""
        ...


def _solve_transposed(bijection: Any, z: Array, y: Array, gradient: Array) -> Array:
    """`J(z)⁻ᵀ gradient`, by the bijection's own method or by the gradient of its inverse at `y` = forward(z)."""
    if hasattr(bijection, "solve_transposed"):
        return bijection.solve_transposed(z, gradient)
    return jax.vjp(lambda y: bijection.inverse(y)[0], y)[1](gradient)[0]


def _push(bijection: Any, z: Array, gradient: Array) -> tuple[Array, Array, Array]:
    """`(y, log|det J|, ∂ log q(y)/∂y)` from `z` and `gradient` = ∂ log q(z)/∂z."""
    if hasattr(bijection, "push"):
        return bijection.push(z, gradient)
    (y, log_det), slope = _value_and_slope(bijection, z)
    return y, log_det, _solve_transposed(bijection, z, y, gradient - slope)


def _value_and_slope(bijection: Any, z: Array) -> tuple[tuple[Array, Array], Array]:
    """`(forward(z), ∂ log|det J(z)| / ∂z)`."""

    def log_det(z: Array) -> tuple[Array, Array]:
        y, found = bijection.forward(z)
        return found, y

    (found, y), slope = jax.value_and_grad(log_det, has_aux=True)(z)
    return (y, found), slope


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Transformed:
    """The distribution of `bijection.forward(z0)`, z0 ~ `base`: a flow. Events are vectors `[d]`.

    Reparameterised if the base is. The base's own density must have a gradient, as every `Distribution`'s has.
    """

    base: Any
    bijection: Any

    @property
    def reparameterised(self) -> bool:
        """Whether samples carry a gradient: whether those of the base do."""
        return getattr(self.base, "reparameterised", True)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, that of the base."""
        return self.base.event_shape

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values `shape + (d,)`."""
        check_key("Transformed.sample", key)
        return draws(lambda key: self.bijection.forward(self.base.sample(key))[0], key, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar, by the inverse."""
        check_value("Transformed", value, self.event_shape)
        z, log_det = self.bijection.inverse(value)
        return self.base.log_prob(z) + log_det

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """A sample and its density on the way forward."""
        check_key("Transformed.sample_and_log_prob", key)
        z, log_prob = sample_and_log_prob(self.base, key)
        value, log_det = self.bijection.forward(z)
        return value, log_prob - log_det

    def sample_and_path_log_prob(self, key: Key) -> tuple[Array, Array]:
        """The same, with the gradient through the value alone. First derivatives only."""
        check_key("Transformed.sample_and_path_log_prob", key)
        z = self.base.sample(key)
        value = self.bijection.forward(z)[0]
        log_prob, gradient = jax.value_and_grad(freeze(self.base).log_prob)(freeze(z))
        _, log_det, gradient = _push(freeze(self.bijection), freeze(z), gradient)
        surrogate = jnp.dot(freeze(gradient), value)
        return value, freeze(log_prob - log_det) + surrogate - freeze(surrogate)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Inverse:
    """A bijection turned around: the flow whose density is cheap where the other's samples are, and the reverse."""

    bijection: Any

    def forward(self, z: Array) -> tuple[Array, Array]:
        """The inverse of the bijection."""
        return self.bijection.inverse(z)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """The bijection itself."""
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
            z, log_det, gradient = _push(layer, z, gradient)
            total = total + log_det
        return z, total, gradient


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Stacked:
    """K equal bijections in one scan: `layers` is one bijection with stacked leaves `[K, …]`.

    Compiles in the time of one layer, whatever K.
    """

    layers: Any

    def forward(self, z: Array) -> tuple[Array, Array]:
        """All K in turn."""

        def step(z: Array, layer: Any) -> tuple[Array, Array]:
            return layer.forward(z)

        y, log_dets = jax.lax.scan(step, z, self.layers)
        return y, jnp.sum(log_dets)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """Their inverses, the last first."""

        def step(y: Array, layer: Any) -> tuple[Array, Array]:
            return layer.inverse(y)

        z, log_dets = jax.lax.scan(step, y, self.layers, reverse=True)
        return z, jnp.sum(log_dets)

    def push(self, z: Array, gradient: Array) -> tuple[Array, Array, Array]:
        """`(y, log|det J|, ∂ log q(y)/∂y)`, layer by layer."""

        def step(carry: tuple[Array, Array], layer: Any) -> tuple[tuple[Array, Array], Array]:
            y, log_det, gradient = _push(layer, *carry)
            return (y, gradient), log_det

        (y, gradient), log_dets = jax.lax.scan(step, (z, gradient), self.layers)
        return y, jnp.sum(log_dets), gradient


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Reverse:
    """`y[i] = z[d − 1 − i]`: what changes places between layers, faster than `permute`, whose gradient scatters."""

    def forward(self, z: Array) -> tuple[Array, Array]:
        """The vector turned around; its log-determinant is 0."""
        return jnp.flip(z), jnp.zeros(())

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """The same."""
        return self.forward(y)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Permute:
    """`y[i] = z[order[i]]`, made by `permute`."""

    order: tuple[int, ...] = field(metadata={"static": True})

    def forward(self, z: Array) -> tuple[Array, Array]:
        """The permutation; its log-determinant is 0."""
        check_value("Permute.forward", z, (len(self.order),))
        return z[np.asarray(self.order)], jnp.zeros(())

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """The permutation undone."""
        return y[np.argsort(self.order)], jnp.zeros(())


def permute(order: Any) -> Permute:
    """The bijection that reorders a vector. ValueError unless `order` holds each of 0..d-1 once."""
    found = tuple(int(i) for i in order)
    if sorted(found) != list(range(len(found))):
        raise ValueError(f"permute: order must hold each of 0..{len(found) - 1} once, got {found}.")
    return Permute(found)


def flow(base: Distribution, *bijections: Bijection) -> Transformed:
    """`base` pushed through the bijections, the first of them first."""
    return Transformed(base, bijections[0] if len(bijections) == 1 else Composed(bijections))
