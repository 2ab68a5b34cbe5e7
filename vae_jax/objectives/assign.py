"""A value that is set without a gradient, as a term of the one loss that trains everything."""

import jax.numpy as jnp

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array


def assign(value: Array, target: Array) -> Array:
    """A loss term of value 0 whose gradient is `value − target`.

    Under plain SGD of rate 1−γ, in a group of its own of `optax.partition`, it sets `value` to the running
    mean `γ value + (1−γ) target`, without a gradient of anything. Clipping and decay must stay out of that
    group.
    """
    target = freeze(target)
    distance = 0.5 * jnp.sum(jnp.square(value - target))
    return distance - freeze(distance)
