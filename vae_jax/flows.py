"""Normalising flows: a simple distribution pushed through bijections.

    log q(f(z0)) = log q0(z0) − log |det J_f(z0)|

A bijection is any pytree with `forward(z) -> (y, log|det ∂y/∂z|)` and `inverse(y) -> (z, log|det ∂z/∂y|)`, both of one
value `[d]`. `Transformed(base, bijection)` is the distribution; it never inverts its own samples. `Composed((f, g))`
applies bijections of any kinds one after the other. `Stacked(f)` does so for K of one kind, whose leaves are stacked
`[K, …]`, in one scan. `Inverse(f)` is f turned around. The elementary bijections are in `vae_jax.bijections`.

The path derivative of log q, which `stl` and `dreg` need, takes no inverse either. With the frozen flow it is
`∂ log q(y)/∂y = J⁻ᵀ (∂ log q0(z)/∂z − ∂ log|det J(z)|/∂z)`, layer after layer on the way forward. A bijection whose
inverse is expensive has a method `solve_transposed(z, g) -> J(z)⁻ᵀ g`.

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
from vae_jax.distributions.distribution import is_reparameterised

__all__ = ["Bijection", "Composed", "Inverse", "Permute", "Reverse", "Stacked", "Transformed", "flow", "permute"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Transformed:
    """The distribution of `bijection.forward(z0)`, z0 ~ `base`: a normalising flow. Events are vectors `[d]`.

    Samples carry a gradient if those of the base do. Source: Variational Inference with Normalizing Flows, arXiv
    1505.05770.
    """

    base: Any
    bijection: Any

    @property
    def reparameterised(self) -> bool:
        """Whether samples carry a gradient, as those of the base do."""
        return is_reparameterised(self.base)

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value, `(d,)`."""
        return self.base.event_shape

    @property
    def centre(self) -> Array:
        """The image of the base's mean, `[d]`: near most of the samples, but not their mean."""
        return self.bijection.forward(self.base.mean)[0]

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values `shape + (d,)`."""
        check_key("Transformed.sample", key, shape)
        return draws(lambda key: self.bijection.forward(self.base.sample(key))[0], key, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar, by the inverse of the bijection."""
        check_value("Transformed", value, self.event_shape)
        z, log_det = self.bijection.inverse(value)
        return self.base.log_prob(z) + log_det

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """A sample and its log-density, computed on the way forward."""
        check_key("Transformed.sample_and_log_prob", key)
        z, log_prob = sample_and_log_prob(self.base, key)
        value, log_det = self.bijection.forward(z)
        return value, log_prob - log_det

    def sample_and_path_log_prob(self, key: Key) -> tuple[Array, Array]:
        """As `sample_and_log_prob`, but its gradient goes through the value alone. First derivatives only."""
        check_key("Transformed.sample_and_path_log_prob", key)
        if isinstance(self.base, Transformed):
            # As one flow: the density of a base that is a flow itself would be by its inverse.
            whole = Transformed(self.base.base, Composed((self.base.bijection, self.bijection)))
            return whole.sample_and_path_log_prob(key)
        z = self.base.sample(key)
        value = self.bijection.forward(z)[0]
        log_prob, gradient = jax.value_and_grad(freeze(self.base).log_prob)(freeze(z))
        _, log_det, gradient = push_through(freeze(self.bijection), freeze(z), gradient)
        surrogate = jnp.dot(freeze(gradient), value)
        return value, freeze(log_prob - log_det) + surrogate - freeze(surrogate)


def flow(base: Distribution, *bijections: Bijection) -> Transformed:
    """The flow that applies the bijections to samples of `base`, the first of them first. Events are vectors `[d]`.

    Source: Variational Inference with Normalizing Flows, arXiv 1505.05770.
    """
    return Transformed(base, bijections[0] if len(bijections) == 1 else Composed(bijections))
