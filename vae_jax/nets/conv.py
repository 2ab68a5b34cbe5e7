"""A small convolutional encoder and decoder, for images whose sides can be halved once for every layer.

Each layer halves or doubles by a 4×4 convolution of stride 2, or its transpose, written as one matrix product of
patches. The reason is XLA on CPU: any convolution inside a compiled loop, which training is, runs up to fifty times
slower than the same matrix product (`benchmarks/convolution.py`, `benchmarks/colour.py`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.types import Array
from vae_jax.nets.mlp import OneExample


def side_by_side(parts: Sequence[Array]) -> Array:
    """Arrays `[…, C]` of one shape to `[…, n C]`.

    Stacked before the last axis: then XLA on CPU writes up to eight parts in one pass. Joined along the last one it
    writes each of them first, and copies it.
    """
    return jnp.stack(parts, axis=-2).reshape(*parts[0].shape[:-1], -1)


def _patches(x: Array) -> Array:
    """`[H, W, C] -> [H/2, W/2, 16C]`: the 4×4 pixels that a convolution of stride 2 and zero padding 1 reads at once.

    In the order of four 2×2 blocks, and of the pixels in a block.
    """
    height, width, channels = x.shape
    rows = jnp.pad(x, ((1, 1), (1, 1), (0, 0))).reshape(height // 2 + 1, 2, width // 2 + 1, 2 * channels)
    # Split and not indexed: the transpose of a split joins, so XLA on CPU adds up what overlaps once, and writes it.
    even, odd = lax.split(rows, (1, 1), axis=1)
    parts = [
        half[below : below + height // 2, 0, right : right + width // 2]
        for below in (0, 1)
        for right in (0, 1)
        for half in (even, odd)
    ]
    return side_by_side(parts)


class Halve(nn.Module):
    """`[H, W, C] -> [H/2, W/2, features]`: a 4×4 convolution of stride 2 and zero padding 1."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dense(self.features)(_patches(x))


class _Kernel(nn.Module):
    """A matrix of weights, as that of `nn.Dense`."""

    shape: tuple[int, int]

    @nn.compact
    def __call__(self) -> Array:
        return self.param("kernel", nn.initializers.lecun_normal(), self.shape, jnp.float32)


class Double(nn.Module):
    """`[H, W, C] -> [2H, 2W, features]`: a transposed 4×4 convolution of stride 2 and padding 1.

    Its 2×2 blocks of output straddle the pixels of the input. The rows of the kernel are the four pixels that meet in
    a block, its columns the pixels of the block.
    """

    features: int
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        height, width, channels = x.shape
        kernel = _Kernel((4 * channels, 4 * self.features), name="Dense_0")()
        # What is the last of four pixels for a block is the first of four blocks for the pixel.
        kernel = kernel.reshape(2, 2, channels, 4 * self.features)[::-1, ::-1]
        patches = x @ jnp.moveaxis(kernel, 2, 0).reshape(channels, 16 * self.features)
        out_shape = jax.ShapeDtypeStruct((2 * height, 2 * width, self.features), patches.dtype)
        (out,) = jax.linear_transpose(_patches, out_shape)(patches)
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
