"""Corruptions of an example: the noise in the input of a denoising autoencoder, or of a classifier, in training."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.types import Array, Key

# `(key, x) -> corrupted x`, of one example.
Corruption = Callable[[Key, Any], Any]


def uncorrupted(key: Key, x: Any) -> Any:
    """No corruption: x itself."""
    del key
    return x


def gaussian(level: float | Array) -> Corruption:
    """`x + level ε`, ε ~ N(0, 1)."""
    return lambda key, x: x + level * jax.random.normal(key, jnp.shape(x))


def masking(level: float | Array) -> Corruption:
    """Each element is 0 with probability `level`."""
    return lambda key, x: jnp.where(jax.random.bernoulli(key, level, jnp.shape(x)), 0.0, x)


def salt_pepper(level: float | Array) -> Corruption:
    """With probability `level` each element is replaced: by 0 or by 1, with equal probability."""

    def corrupt(key: Key, x: Any) -> Any:
        place_key, value_key = jax.random.split(key)
        noise = jax.random.bernoulli(value_key, 0.5, jnp.shape(x)).astype(jnp.float32)
        return jnp.where(jax.random.bernoulli(place_key, level, jnp.shape(x)), noise, x)

    return corrupt


def dropout(level: float | Array) -> Corruption:
    """Each element is 0 with probability `level`, the others are divided by 1 − `level`, so the mean stays the same."""
    return lambda key, x: masking(level)(key, x) / (1.0 - level)


def shifted(pixels: int, corrupt: Corruption = uncorrupted) -> Corruption:
    """Move an image `[H, W, C]` by up to `pixels` each way, with zeros moving in; then apply `corrupt`."""
    if not pixels:
        return corrupt

    def shift(key: Key, x: Any) -> Any:
        shift_key, corrupt_key = jax.random.split(key)
        start = jax.random.randint(shift_key, (2,), 0, 2 * pixels + 1)
        padded = jnp.pad(x, ((pixels, pixels), (pixels, pixels), (0, 0)))
        return corrupt(corrupt_key, jax.lax.dynamic_slice(padded, (start[0], start[1], 0), x.shape))

    return shift
