"""Quantisation of vectors, with a gradient: to the nearest code of a codebook, or to a grid of finite scalars.

`quantise` gives the vector that a decoder sees. Its gradient goes to the encoder as if nothing had been rounded
(straight-through). A term of the loss moves the codes: `codebook_distance` by its gradient, or
`vae_jax.objectives.assign.assign` to running means of `cluster_sums`. `commitment` keeps the encoder near its codes.

Sources: Neural Discrete Representation Learning, arXiv 1711.00937; Finite Scalar Quantization, arXiv 2309.15505.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.trees import freeze, widened
from vae_jax.core.types import Array


class Quantised(NamedTuple):
    """`value` `[..., d]`: the nearest code, with the gradient of the input. `nearest` `[..., d]`: the same, with the
    gradient of the codebook. `number` `[...]`: which code it is."""

    value: Array
    nearest: Array
    number: Array


def straight_through(z: Array, rounded: Array) -> Array:
    """`rounded`, with the gradient of `z`."""
    return z + freeze(rounded - z)


def nearest_index(codebook: Array, z: Array) -> Array:
    """`[...]` integers: the row of `codebook` `[K, d]` that is nearest to each vector of `z` `[..., d]`.

    This takes one matrix product, since ‖z − c‖² is ‖c‖² − 2 z · c up to a term that all codes share; no array
    `[..., K, d]` is made. ValueError unless K ≥ 2 and the sizes fit.
    """
    _check_codebook(codebook, z)
    # Numbers of half precision hold neither the place of a code nor what is larger than all.
    codebook, z = widened(codebook), widened(z)
    # Any centre gives the same; far from it the two terms would lose the digits of their difference.
    centre = jnp.mean(codebook, axis=0)
    codebook, z = codebook - centre[None], z - centre.reshape((1,) * (z.ndim - 1) + (-1,))
    half_norms = 0.5 * jnp.sum(jnp.square(codebook), axis=1)
    return _largest(jnp.matmul(z, codebook.T) - half_norms.reshape((1,) * (z.ndim - 1) + (-1,)))


# A difference of scores times this is larger than the number of any code.
_LARGE = 1e30


def _largest(scores: Array) -> Array:
    """`argmax` over the last axis (of equal scores the first), by sums and maxima alone.

    Every score below the largest is sent far below zero. To the others their places are added, counted down, so that
    the first is now the largest. XLA on CPU vectorises this, but neither an argmax nor a comparison, which cost several
    times the matrix product before them (`benchmarks/nearest.py`).
    """
    size = scores.shape[-1]
    below = scores - jnp.max(scores, axis=-1, keepdims=True)
    countdown = jnp.arange(size - 1, -1, -1, dtype=scores.dtype).reshape((1,) * (scores.ndim - 1) + (-1,))
    return size - 1 - jnp.max(_LARGE * below + countdown, axis=-1).astype(jnp.int32)


def quantise(codebook: Array, z: Array) -> Quantised:
    """The nearest of `codebook` `[K, d]` for each vector of `z` `[..., d]`. ValueError unless K ≥ 2 and sizes fit."""
    index = nearest_index(freeze(codebook), freeze(z))
    nearest = codebook[index]
    return Quantised(straight_through(z, nearest), nearest, index)


def codebook_distance(z: Array, nearest: Array) -> Array:
    """`Σ ‖sg(z) − c‖²` over vectors: its gradient moves each code towards the vectors that it stands for."""
    return jnp.sum(jnp.square(freeze(z) - nearest))


def commitment(z: Array, nearest: Array) -> Array:
    """`Σ ‖z − sg(c)‖²` over vectors: its gradient keeps the encoder near its codes."""
    return codebook_distance(nearest, z)


def cluster_sums(index: Array, z: Array, size: int) -> tuple[Array, Array]:
    """For each of K = `size` codes: how many vectors of `z` `[n, d]` it stands for, `[K]`, and their sum, `[K, d]`."""
    ones = jax.nn.one_hot(index, size, dtype=z.dtype)
    return jnp.sum(ones, axis=0), jnp.matmul(ones.T, z)


def perplexity(counts: Array) -> Array:
    """`exp H` of the shares in which codes are used, from `counts` `[K]`: between 1 (one code) and K (all alike)."""
    shares = counts / jnp.maximum(jnp.sum(counts), 1.0)
    return jnp.exp(-jnp.sum(jnp.where(shares > 0.0, shares * jnp.log(jnp.where(shares > 0.0, shares, 1.0)), 0.0)))


def finite_scalars(levels: Sequence[int], z: Array) -> Quantised:
    """Each element of `z` `[..., d]` rounded to one of `levels[j]` numbers evenly spaced in −1..1, after a tanh.

    No codebook is learned: the codes are the `math.prod(levels)` points of the grid, numbered by their digits, and
    `nearest` is `value`. ValueError unless there are d levels, each at least 2, of fewer than 2^31 codes in all.

    Source: Finite Scalar Quantization: VQ-VAE Made Simple, arXiv 2309.15505.
    """
    sizes = _check_levels(levels)
    if z.shape[-1:] != sizes.shape:
        raise ValueError(
            f"finite_scalars: {len(sizes)} levels {tuple(levels)} round vectors of {len(sizes)} dimensions, got "
            f"{z.shape[-1]}."
        )
    if math.prod(levels) > np.iinfo(np.int32).max:
        raise ValueError(
            f"finite_scalars: levels {tuple(levels)} are {math.prod(levels):,} codes, and a number of 32 bits tells "
            f"{np.iinfo(np.int32).max:,}. Use fewer levels or dimensions."
        )
    half = jnp.asarray((sizes - 1) / 2.0, z.dtype).reshape((1,) * (z.ndim - 1) + (-1,))
    # Levels are a step of 1 apart: an odd number of them lies at 0, ±1, …, an even number at ±½, ±1½, …
    bounded = half * jnp.tanh(z)
    offset = half % 1.0
    rounded = jnp.clip(jnp.round(bounded - offset) + offset, -half, half)
    value = straight_through(bounded, rounded) / half
    digits = jnp.round(rounded + half).astype(jnp.int32)
    places = np.cumprod([1, *sizes[:-1]]).astype(np.int32)
    return Quantised(value, value, jnp.sum(digits * places.reshape((1,) * (z.ndim - 1) + (-1,)), axis=-1))


def finite_codes(levels: Sequence[int]) -> np.ndarray:
    """`[K, d]`: all codes of `finite_scalars`, in the order of their numbers."""
    sizes = _check_levels(levels)
    digits = np.stack(np.unravel_index(np.arange(math.prod(levels)), tuple(sizes), order="F"), axis=-1)
    return (2.0 * digits / (sizes - 1) - 1.0).astype(np.float32)


def _check_levels(levels: Sequence[int]) -> np.ndarray:
    if not len(levels) or min(levels) < 2:
        raise ValueError(f"finite scalars need at least 2 levels in each dimension, got {tuple(levels)}.")
    return np.asarray(levels)


def _check_codebook(codebook: Array, z: Array) -> None:
    if jnp.ndim(codebook) != 2 or codebook.shape[0] < 2:
        raise ValueError(f"a codebook must have shape (K, d) with K >= 2, got {jnp.shape(codebook)}.")
    if jnp.shape(z)[-1:] != codebook.shape[1:]:
        raise ValueError(
            f"vectors of {jnp.shape(z)[-1]} dimensions cannot be told by codes of {codebook.shape[1]}: the encoder "
            "must give as many numbers at each place as a code has."
        )
