"""A prior over a grid of codes: each code given those before it, in reading order, and the grid above."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.types import Array, Key, Params
from vae_jax.distributions import Autoregressive, Categorical
from vae_jax.nets.conv import Double
from vae_jax.nets.pixelcnn import CausalLayers


class CodePrior(nn.Module):
    """Codes `[h, w]`, and those above, `[h/2, w/2]` or None, to logits `[h, w, K]`, causal in the codes.

    It starts uniform. Sources: Neural Discrete Representation Learning, arXiv 1711.00937; Generating Diverse
    High-Fidelity Images with VQ-VAE-2, arXiv 1906.00446, without attention.
    """

    codes: int
    layers: int
    width: int

    @nn.compact
    def __call__(self, index: Array, above: Array | None) -> Array:
        embedded = nn.Embed(self.codes, self.width)(index.astype(jnp.int32))
        context = self.param("place", nn.initializers.zeros_init(), (*index.shape, self.width))
        if above is not None:
            context = context + Double(self.width)(nn.Embed(self.codes, self.width)(above))
        hidden = CausalLayers(self.layers, self.width)(embedded, context)
        return nn.Dense(self.codes, kernel_init=nn.initializers.zeros_init())(nn.elu(hidden))

    def start(self, key: Key, sides: tuple[int, int], *, is_highest: bool) -> Params:
        """The initial parameters for a grid of `sides`."""
        above = None if is_highest else jnp.zeros((sides[0] // 2, sides[1] // 2), jnp.int32)
        return self.init(key, jnp.zeros(sides, jnp.int32), above)["params"]

    def distribution(self, params: Params, sides: tuple[int, int]) -> Autoregressive:
        """p(codes) of the highest grid, where codes have the shape `sides`."""
        return _GivenAbove(self, sides)(params, None)

    def conditional(self, params: Params, sides: tuple[int, int]) -> Any:
        """Maps the codes above to p(codes | above), of shape `sides`; a pytree whose leaves are the parameters."""
        return Partial(_GivenAbove(self, sides), params)


# Classes, not closures: two with equal fields are equal, so two calls give pytrees of equal structure.
@dataclass(frozen=True)
class _GivenAbove:
    prior: CodePrior
    sides: tuple[int, int]

    def __call__(self, params: Params, above: Array | None) -> Autoregressive:
        return Autoregressive(Partial(_GivenBefore(self.prior), (params, above)), self.sides)


@dataclass(frozen=True)
class _GivenBefore:
    prior: CodePrior

    def __call__(self, given: tuple[Params, Array | None], index: Array) -> Categorical:
        params, above = given
        return Categorical(self.prior.apply({"params": params}, index, above))  # pyright: ignore[reportArgumentType]
