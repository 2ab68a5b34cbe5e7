"""A small convolutional encoder and decoder, for images whose sides can be halved once for every layer.

Each layer halves or doubles by a 4×4 convolution of stride 2, or its transpose, written as one matrix product over
patches. The reason is XLA on CPU: any convolution inside a compiled loop, which training is, runs up to thirty times
slower than the same matrix product (`benchmarks/convolution.py`, `benchmarks/colour.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.core.types import Array
from vae_jax.nets.mlp import OneExample


def space_to_depth(x: Array) -> Array:
    """`[H, W, C] -> [H/2, W/2, 4C]`: each 2×2 block of pixels becomes one pixel."""
    height, width, channels = x.shape
    blocks = x.reshape(height // 2, 2, width // 2, 2, channels).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(height // 2, width // 2, 4 * channels)


def depth_to_space(x: Array) -> Array:
    """`[H, W, 4C] -> [2H, 2W, C]`, the inverse of `space_to_depth`."""
    height, width, channels = x.shape
    blocks = x.reshape(height, width, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(2 * height, 2 * width, channels // 4)


def _pairs_of_rows_and_columns(x: Array) -> Array:
    """`[H + 1, W + 1, C] -> [H, W, 4C]`: each pixel beside its neighbours to the right, below, and both."""
    return jnp.concatenate([x[:-1, :-1], x[:-1, 1:], x[1:, :-1], x[1:, 1:]], axis=-1)


def _frame(x: Array) -> Array:
    return jnp.pad(x, ((1, 1), (1, 1), (0, 0)))


class Halve(nn.Module):
    """`[H, W, C] -> [H/2, W/2, features]`: a 4×4 convolution of stride 2 and zero padding 1."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(self.features)(_pairs_of_rows_and_columns(space_to_depth(_frame(x))))


class Double(nn.Module):
    """`[H, W, C] -> [2H, 2W, features]`: a transposed 4×4 convolution of stride 2 and padding 1.

    Its 2×2 blocks of output straddle the pixels of the input: each is made of the four pixels that meet in it.
    """

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        height, width, _ = x.shape
        blocks = nn.Dense(4 * self.features, use_bias=False)(_pairs_of_rows_and_columns(_frame(x)))
        out = depth_to_space(blocks)[1 : 1 + 2 * height, 1 : 1 + 2 * width]
        return out + self.param("bias", nn.initializers.zeros_init(), (1, 1, self.features)) if self.use_bias else out


class ConvTrunk(nn.Module):
    """Image `[H, W, C]` to features `[features]`, halving the sides at each of the `channels`."""

    channels: Sequence[int]
    features: int
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.channels:
            x = self.activation(Halve(size)(x))
        return self.activation(nn.Dense(self.features)(jnp.ravel(x)))


class ConvOutput(nn.Module):
    """Code `[d]` to an array `[H, W, C, outputs]`, doubling the sides at each of the `channels`."""

    shape: tuple[int, ...]
    outputs: int
    channels: Sequence[int]
    features: int
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, z: Array) -> Array:
        *sides, colours = self.shape
        height, width = (side >> len(self.channels) for side in sides)
        x = self.activation(nn.Dense(self.features)(z))
        x = self.activation(nn.Dense(height * width * self.channels[0])(x))
        x = x.reshape(height, width, self.channels[0])
        for size in self.channels[1:]:
            x = self.activation(Double(size)(x))
        x = Double(colours * self.outputs, use_bias=False)(x)
        return x.reshape(*self.shape, self.outputs)


def check_halves(where: str, shape: tuple[int, ...], halvings: int) -> None:
    """ValueError unless `shape` is that of an image whose sides can be halved `halvings` times."""
    factor = 2**halvings
    if len(shape) != 3 or shape[0] % factor or shape[1] % factor:
        raise ValueError(
            f"{where}: {halvings} layers halve an image {halvings} times, so its sides must be multiples of "
            f"{factor} in a shape (H, W, C); got {shape}. Pad or crop the images, use fewer channels, or "
            "network mlp."
        )


def conv(
    shape: tuple[int, ...],
    posterior: nn.Module,
    likelihood: Any,
    *,
    channels: Sequence[int] = (32, 64),
    features: int = 256,
    reader: nn.Module | None = None,
    activation: Callable[[Array], Array] = nn.silu,
) -> tuple[nn.Module, nn.Module]:
    """An encoder `x [H, W, C] -> q(z | x)` and a decoder `z [d] -> p(x | z)`.

    `reader`: what x goes through first, by default a check of its shape. ValueError if `shape` is not an image, or
    its sides cannot be halved `len(channels)` times.
    """
    check_halves("conv", shape, len(channels))
    encoder = nn.Sequential([reader or OneExample(shape), ConvTrunk(channels, features, activation), posterior])
    output = ConvOutput(shape, likelihood.outputs, tuple(reversed(channels)), features, activation)
    return encoder, nn.Sequential([output, likelihood])
