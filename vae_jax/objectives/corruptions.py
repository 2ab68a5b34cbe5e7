"""Corruptions: what a denoising autoencoder's input, or a classifier's, goes through in training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.types import Array, Key

# `(key, x) -> x` of one example.
Corruption = Callable[[Key, Any], Any]


def uncorrupted(key: Key, x: Any) -> Any:
    """The example as it is."""
    del key
    return x


def gaussian(level: float | Array) -> Corruption:
    """`x + level ε`, ε ~ N(0, 1)."""
    return lambda key, x: x + level * jax.random.normal(key, jnp.shape(x))


def masking(level: float | Array) -> Corruption:
    """Each element is 0 with probability `level`."""
    return lambda key, x: jnp.where(jax.random.bernoulli(key, level, jnp.shape(x)), 0.0, x)


def salt_pepper(level: float | Array) -> Corruption:
    """Each element is, with probability `level`, 0 or 1 instead, as often the one as the other."""

    def corrupt(key: Key, x: Any) -> Any:
        where_key, what_key = jax.random.split(key)
        noise = jax.random.bernoulli(what_key, 0.5, jnp.shape(x)).astype(jnp.float32)
        return jnp.where(jax.random.bernoulli(where_key, level, jnp.shape(x)), noise, x)

    return corrupt


def dropout(level: float | Array) -> Corruption:
    """Each element is 0 with probability `level`, and the others are divided by 1 − `level`: the mean stays."""
    return lambda key, x: masking(level)(key, x) / (1.0 - level)


def shifted(pixels: int, corrupt: Corruption = uncorrupted) -> Corruption:
    """An image `[H, W, C]` moved by up to so many pixels each way, zeros moving in, and then corrupted."""

    def shift(key: Key, x: Any) -> Any:
        where_key, corrupt_key = jax.random.split(key)
        start = jax.random.randint(where_key, (2,), 0, 2 * pixels + 1)
        padded = jnp.pad(x, ((pixels, pixels), (pixels, pixels), (0, 0)))
        return corrupt(corrupt_key, jax.lax.dynamic_slice(padded, (start[0], start[1], 0), x.shape))

    return shift
