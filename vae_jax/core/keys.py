"""Keys for what draws again: until a draw is accepted, or the same draw among others."""

import jax

from vae_jax.core.types import Key

THREEFRY = "threefry2x32"


def as_threefry(key: Key) -> Key:
    """The key itself, or of another generator a key of JAX's usual one, from its first two words.

    The generators rbg and unsafe_rbg draw under `vmap` for all examples from the key of the first. In a loop that draws
    until it accepts, that key stands still as soon as the first is done, and the others get the same refused draw for
    ever. And a sample that is drawn again by its key, with other neighbours, is another one. JAX's own Poisson refuses
    these generators.
    """
    if str(jax.random.key_impl(key)) == THREEFRY:
        return key
    return jax.random.wrap_key_data(jax.random.key_data(key)[..., :2], impl=THREEFRY)
