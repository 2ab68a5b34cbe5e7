"""An autoregressive decoder for images: each pixel given z and the pixels before it, in reading order.

A masked convolution is one matrix product over the patches above and to the left (see `vae_jax.nets.conv` for why).
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.types import Array
from vae_jax.data.units import Units
from vae_jax.distributions import Autoregressive
from vae_jax.nets.conv import side_by_side


class CausalConv(nn.Module):
    """`[H, W, C] -> [H, W, features]`: each place sees those before it, up to `reach` rows up and columns to a side.

    Unless `strict`, it sees its own pixel too.
    """

    features: int
    reach: int = 1
    strict: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        (height, width, _), reach = x.shape, self.reach
        padded = jnp.pad(x, ((reach, 0), (reach, reach), (0, 0)))
        places = [*product(range(reach), range(2 * reach + 1)), *((reach, left) for left in range(reach))]
        places += [] if self.strict else [(reach, reach)]
        shifts = [padded[i : i + height, j : j + width] for i, j in places]
        return nn.Dense(self.features)(side_by_side(shifts))


class CausalLayers(nn.Module):
    """`[H, W, C]` and a context `[H, W, *]` to features `[H, W, width]` of each place, by what is before it.

    Residual layers of masked convolutions, the first of which leaves out the place itself. The context is not masked.
    With a reach of 1 all kernels are 3×3, and each layer sees one row and column further. With a larger one the first
    layer sees so far, once, and the others see their own place alone.
    """

    layers: int
    width: int
    reach: int = 1

    @nn.compact
    def __call__(self, x: Array, context: Array) -> Array:
        # Checkpoints know the layers by these names.
        first, *others = (f"CausalConv3x3_{number}" for number in range(self.layers + 1))
        hidden = CausalConv(self.width, self.reach, strict=True, name=first)(x) + nn.Dense(self.width)(context)
        for name in others:
            hidden = hidden + CausalConv(self.width, reach=int(self.reach == 1), name=name)(nn.elu(hidden))
        return hidden


class PixelCNN(nn.Module):
    """An image `[H, W, C]` and a context from z, `[H, W, *]`, to `[H, W, C, outputs]`, causal in the image.

    The colours of a pixel depend on the pixels before it, and not on one another.

    Source: Conditional Image Generation with PixelCNN Decoders, arXiv 1606.05328.
    """

    outputs: int
    layers: int
    width: int
    reach: int = 1

    @nn.compact
    def __call__(self, x: Array, context: Array) -> Array:
        hidden = CausalLayers(self.layers, self.width, self.reach)(x, context)
        out = nn.Dense(x.shape[-1] * self.outputs, kernel_init=nn.initializers.zeros_init())(nn.elu(hidden))
        return out.reshape(*x.shape, self.outputs)


class AutoregressiveHead(nn.Module):
    """A likelihood head made autoregressive: `[H, W, C, outputs] -> Autoregressive` of `[H, W, C]`.

    `likelihood`: the head that gives each pixel its distribution. x is divided by `levels`, or put in `units`, those of
    the likelihood, before the network sees it. `layers`, `width` and `reach` are those of `CausalLayers`, whose context
    is all that the decoder says of a place: the likelihood's own numbers, and `context` more. At the start pixels do
    not depend on one another. ValueError unless x is an image.

    Source: PixelVAE: A Latent Variable Model for Natural Images, arXiv 1611.05013.
    """

    likelihood: Any
    layers: int
    levels: int = 1
    width: int = 32
    reach: int = 1
    context: int = 0
    units: Units | None = None

    @property
    def outputs(self) -> int:
        """Numbers that the network must give per element of x."""
        return self.likelihood.outputs + self.context

    @nn.compact
    def __call__(self, out: Array) -> Autoregressive:
        shape, own = out.shape[:-1], self.likelihood.outputs
        if len(shape) != 3:
            raise ValueError(
                f"an autoregressive decoder is for images (H, W, C), got examples of shape {tuple(shape)}."
            )
        network, head = PixelCNN(own, self.layers, self.width, self.reach), self.likelihood.clone(parent=None)
        empty, context = jnp.zeros(shape), out.reshape(*shape[:2], -1)
        params = {
            "network": self.param("network", lambda key: network.init(key, empty, context)["params"]),
            "head": self.param("head", lambda key: head.init(key, out[..., :own])["params"]),
            "out": out,
        }
        return Autoregressive(Partial(self._given(network, head), params), tuple(shape))

    @nn.nowrap
    def _given(self, network: nn.Module, head: nn.Module) -> Callable[[Any, Array], Any]:
        """`(params, image) -> p(pixel | the pixels before it)` for every pixel."""
        levels, units, own = self.levels, self.units, self.likelihood.outputs

        def conditional(params: Any, x: Array) -> Any:
            out = params["out"]
            context = out.reshape(*out.shape[:2], -1)
            # In units of the data, where the middle may be far from 0, before they are rounded to the network's kind.
            seen = x if units is None else (x - units.centre) / units.spread
            features = network.apply({"params": params["network"]}, jnp.asarray(seen, out.dtype) / levels, context)
            return head.apply({"params": params["head"]}, out[..., :own] + features)

        return conditional
