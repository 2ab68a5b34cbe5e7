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

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.bijections.bijection import Bijection, Composed, Inverse, Permute, Reverse, Stacked, permute, push_through
from vae_jax.core.checks import check_key, check_value
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key
from vae_jax.distributions import Distribution, draws, sample_and_log_prob

__all__ = ["Bijection", "Composed", "Inverse", "Permute", "Reverse", "Stacked", "Transformed", "flow", "permute"]


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
        _, log_det, gradient = push_through(freeze(self.bijection), freeze(z), gradient)
        surrogate = jnp.dot(freeze(gradient), value)
        return value, freeze(log_prob - log_det) + surrogate - freeze(surrogate)


def flow(base: Distribution, *bijections: Bijection) -> Transformed:
    """`base` pushed through the bijections, the first of them first."""
    return Transformed(base, bijections[0] if len(bijections) == 1 else Composed(bijections))
