"""A loss term that sets a parameter to a target, for parameters that follow no gradient."""

import jax.numpy as jnp

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array


def assign(value: Array, target: Array) -> Array:
    """A loss term of value 0 whose gradient is `value − target`.

    Put `value` in its own group of `optax.partition`, under plain SGD of rate 1−γ, without clipping or decay.
    Each step then sets it to the running mean `γ value + (1−γ) target`. No gradient reaches the target.
    """
    target = freeze(target)
    distance = 0.5 * jnp.sum(jnp.square(value - target))
    return distance - freeze(distance)
