"""Images as they may have been as well: mirrored, or moved by some pixels, within the training program."""

import jax
import jax.numpy as jnp

from vae_jax.core.types import Array, Key


def augmented(key: Key, images: Array, *, mirror: bool, shift: int) -> Array:
    """Stored images `[B, H, W, C]`, each changed by itself.

    `mirror`: left and right are exchanged in every second one. `shift`: it is moved by up to so many pixels each way,
    and its edge is repeated: a random crop of the image with a border.
    """
    padded = jnp.pad(images, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")

    def change(key: Key, image: Array) -> Array:
        mirror_key, shift_key = jax.random.split(key)
        row, column = jax.random.randint(shift_key, (2,), 0, 2 * shift + 1)
        moved = jax.lax.dynamic_slice(image, (row, column, 0), images.shape[1:])
        return jnp.where(jax.random.bernoulli(mirror_key), moved[:, ::-1], moved) if mirror else moved

    return jax.vmap(change)(jax.random.split(key, len(images)), padded)
