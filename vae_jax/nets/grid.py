"""A convolutional encoder and decoder whose code is a smaller image: a vector at each place of a grid.

Halving and doubling as in `vae_jax.nets.conv`, with residual blocks at the smallest size. The networks of Neural
Discrete Representation Learning, arXiv 1711.00937, without normalisation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.core.types import Array
from vae_jax.nets.conv import Double, Halve, check_halves, side_by_side
from vae_jax.nets.mlp import OneExample

_RESIDUAL_BLOCKS = 2


class Conv3x3(nn.Module):
    """`[H, W, C] -> [H, W, features]`: a 3×3 convolution with zero padding 1, as one matrix product."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        height, width, _ = x.shape
        padded = jnp.pad(x, ((1, 1), (1, 1), (0, 0)))
        rows = [side_by_side([padded[i : i + height, j : j + width] for j in range(3)]) for i in range(3)]
        return nn.Dense(self.features)(side_by_side(rows))


class ResidualBlocks(nn.Module):
    """`[H, W, C] -> [H, W, C]`: each block adds a 3×3 convolution of half the channels, brought back by a 1×1 one."""

    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        for _ in range(_RESIDUAL_BLOCKS):
            inner = self.activation(Conv3x3(max(channels // 2, 1))(self.activation(x)))
            x = x + nn.Dense(channels)(inner)
        return self.activation(x)


class GridTrunk(nn.Module):
    """Image `[H, W, C]` to features `[h, w, channels[-1]]`, halving the sides at each of the `channels`."""

    channels: Sequence[int]
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.channels:
            x = self.activation(Halve(size)(x))
        return ResidualBlocks(self.activation)(x)


class GridOutput(nn.Module):
    """A code `[h, w, d]`, or the same as one vector, to an array `[H, W, C, outputs]`, doubling the sides."""

    shape: tuple[int, ...]
    outputs: int
    channels: Sequence[int]
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, z: Array) -> Array:
        *_, colours = self.shape
        x = Conv3x3(self.channels[0])(z.reshape(*grid_sides(self.shape, len(self.channels)), -1))
        x = ResidualBlocks(self.activation)(x)
        for size in self.channels[1:]:
            x = self.activation(Double(size)(x))
        x = Double(colours * self.outputs, use_bias=False)(x)
        return x.reshape(*self.shape, self.outputs)


class GridDecoder(nn.Module):
    """Vectors `[h, w, d]` of each grid, the lowest first, to an array `[H, W, C, outputs]`, from the highest down."""

    output: GridOutput
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, *vectors: Array) -> Array:
        *below, features = vectors
        for lower in reversed(below):
            features = jnp.concatenate([lower, self.activation(Double(self.output.channels[0])(features))], axis=-1)
        return self.output(features)


def grid_sides(shape: tuple[int, ...], halvings: int) -> tuple[int, int]:
    """`(h, w)` of an image that was halved `halvings` times. ValueError where its sides do not allow it."""
    check_halves("grid", shape, halvings)
    return shape[0] >> halvings, shape[1] >> halvings


def grid(
    shape: tuple[int, ...],
    posterior: nn.Module,
    likelihood: Any,
    *,
    channels: Sequence[int] = (32, 64),
    reader: nn.Module | None = None,
    activation: Callable[[Array], Array] = nn.silu,
) -> tuple[nn.Module, nn.Module]:
    """An encoder `x [H, W, C] -> q(z | x)` and a decoder `z [h * w * d] -> p(x | z)`.

    `posterior`: a head that takes features at places (`vae_jax.nets.posteriors`), and gives d numbers at each.
    `reader`: what x goes through first, by default a check of its shape. ValueError unless `shape` can be halved
    `len(channels)` times.
    """
    grid_sides(shape, len(channels))
    encoder = nn.Sequential([reader or OneExample(shape), GridTrunk(channels, activation), posterior])
    output = GridOutput(shape, likelihood.outputs, tuple(reversed(channels)), activation)
    return encoder, nn.Sequential([output, likelihood])
