"""An autoregressive decoder for images: each pixel given z and the pixels before it, in reading order.

A masked convolution is one matrix product over the patches above and to the left (see `vae_jax.nets.conv` for why).
With kernels of 3×3 each layer sees one row further up and one column further to either side.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.types import Array
from vae_jax.distributions import Autoregressive


class CausalConv3x3(nn.Module):
    """`[H, W, C] -> [H, W, features]`: each place sees three pixels of the row above and the one to its left.

    Unless `strict`, it sees its own pixel too.
    """

    features: int
    strict: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        height, width, _ = x.shape
        padded = jnp.pad(x, ((1, 0), (1, 1), (0, 0)))
        places = [(0, 0), (0, 1), (0, 2), (1, 0)] + ([] if self.strict else [(1, 1)])
        shifts = [padded[i : i + height, j : j + width] for i, j in places]
        return nn.Dense(self.features)(jnp.concatenate(shifts, axis=-1))


class CausalLayers(nn.Module):
    """`[H, W, C]` and a context `[H, W, *]` to features `[H, W, width]` of each place, by what is before it.

    Residual layers of masked convolutions, the first of which leaves out the place itself. The context is not masked.
    """

    layers: int
    width: int

    @nn.compact
    def __call__(self, x: Array, context: Array) -> Array:
        hidden = CausalConv3x3(self.width, strict=True)(x) + nn.Dense(self.width)(context)
        for _ in range(self.layers):
            hidden = hidden + CausalConv3x3(self.width)(nn.elu(hidden))
        return hidden


class PixelCNN(nn.Module):
    """An image `[H, W, C]` and a context from z, `[H, W, *]`, to `[H, W, C, outputs]`, causal in the image.

    The colours of a pixel depend on the pixels before it, and not on one another.

    Source: Conditional Image Generation with PixelCNN Decoders, arXiv 1606.05328.
    """

    outputs: int
    layers: int
    width: int

    @nn.compact
    def __call__(self, x: Array, context: Array) -> Array:
        hidden = CausalLayers(self.layers, self.width)(x, context)
        out = nn.Dense(x.shape[-1] * self.outputs, kernel_init=nn.initializers.zeros_init())(nn.elu(hidden))
        return out.reshape(*x.shape, self.outputs)


class AutoregressiveHead(nn.Module):
    """A likelihood head made autoregressive: `[H, W, C, outputs] -> Autoregressive` of `[H, W, C]`.

    `likelihood`: the head that gives each pixel its distribution. x is divided by `levels` before the network sees it.
    At the start pixels do not depend on one another. ValueError unless x is an image.

    Source: PixelVAE: A Latent Variable Model for Natural Images, arXiv 1611.05013.
    """

    likelihood: Any
    layers: int
    levels: int = 1
    width: int = 32

    @property
    def outputs(self) -> int:
        """Numbers that the network must give per element of x."""
        return self.likelihood.outputs

    @nn.compact
    def __call__(self, out: Array) -> Autoregressive:
        *shape, outputs = out.shape
        if len(shape) != 3:
            raise ValueError(
                f"an autoregressive decoder is for images (H, W, C), got examples of shape {tuple(shape)}."
            )
        network, head = PixelCNN(outputs, self.layers, self.width), self.likelihood.clone(parent=None)
        empty, context = jnp.zeros(shape), out.reshape(*shape[:2], -1)
        params = {
            "network": self.param("network", lambda key: network.init(key, empty, context)["params"]),
            "head": self.param("head", lambda key: head.init(key, out)["params"]),
            "out": out,
        }
        return Autoregressive(Partial(_given(network, head, self.levels), params), tuple(shape))


def _given(network: nn.Module, head: nn.Module, levels: int) -> Callable[[Any, Array], Any]:
    """`(params, image) -> p(pixel | the pixels before it)` for every pixel."""

    def conditional(params: Any, x: Array) -> Any:
        out = params["out"]
        context = out.reshape(*out.shape[:2], -1)
        features = network.apply({"params": params["network"]}, jnp.asarray(x, out.dtype) / levels, context)
        return head.apply({"params": params["head"]}, out + features)

    return conditional
