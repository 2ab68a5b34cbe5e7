"""Bits by JAX's usual keys, sooner on a CPU.

There JAX has XLA go through memory five times for the twenty rounds of its generator, which compiles sooner. Of a step
with one draw of z the bits of a batch of images are a part that is felt, so here they are made in one pass.
"""

import math

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.keys import THREEFRY
from vae_jax.core.types import Array, Key

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
# A loop of two passes: what it gives is written once, and not computed again wherever it is read.
_PARTS = 2


def bernoulli(key: Key, p: Array) -> Array:
    """`jax.random.bernoulli(key, p)` for an array of float32, to the same bits."""
    partitionable = jax.config.jax_threefry_partitionable  # pyright: ignore[reportAttributeAccessIssue]
    usual = str(jax.random.key_impl(key)) == THREEFRY and partitionable
    on_one_cpu = jax.default_backend() == "cpu" and jax.sharding.get_abstract_mesh().empty
    if not (usual and on_one_cpu and 0 < p.size < 2**32):
        return jax.random.bernoulli(key, p)
    words, size = jax.random.key_data(key), math.ceil(p.size / _PARTS)
    shares = jnp.pad(jnp.ravel(p), (0, _PARTS * size - p.size)).reshape(_PARTS, size)

    def part(start: Array, shares: Array) -> Array:
        drawn = _threefry(words, start + lax.iota(jnp.uint32, size))
        # As JAX makes a number from 0 to 1: the digits of one from 1 to 2.
        digits = (drawn >> jnp.uint32(9)) | jnp.uint32(0x3F800000)
        return lax.bitcast_convert_type(digits, jnp.float32) - 1.0 < shares

    starts = jnp.arange(_PARTS, dtype=jnp.uint32) * jnp.uint32(size)
    return lax.map(lambda pair: part(*pair), (starts, shares)).ravel()[: p.size].reshape(p.shape)


def _threefry(key: Array, counts: Array) -> Array:
    """A random word for each of `counts`, by Threefry-2x32 (Salmon et al., Parallel Random Numbers, SC 2011).

    Its two words are joined by an exclusive or, as JAX does.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    a, b = jnp.broadcast_to(keys[0], counts.shape), counts + keys[1]
    for i in range(5):
        for by in _ROTATIONS[i % 2]:
            a = a + b
            b = a ^ ((b << jnp.uint32(by)) | (b >> jnp.uint32(32 - by)))
        a, b = a + keys[(i + 1) % 3], b + keys[(i + 2) % 3] + jnp.uint32(i + 1)
    return a ^ b
