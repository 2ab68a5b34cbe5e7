"""Where likelihood heads start: the parameters of p(x | z) whose mean is that of the data, kept finite."""

import jax.numpy as jnp
import numpy as np

from vae_jax.core.types import Array

# A pixel that is always 0, or always 1, must not start at a logit of ±inf.
_LEAST_PROBABILITY = 0.01


def start_logits(mean: np.ndarray) -> Array:
    """Logits of the data mean, kept away from ±inf: float32 of its shape."""
    mean = np.clip(mean, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    return jnp.asarray(np.log(mean) - np.log1p(-mean), jnp.float32)


def continuous_start_logits(mean: np.ndarray) -> np.ndarray:
    """Logits of the continuous Bernoulli with this mean, kept away from 0 and 1: by bisection."""
    mean = np.clip(np.asarray(mean, np.float64), 0.01, 0.99)
    low, high = np.full_like(mean, -200.0), np.full_like(mean, 200.0)
    for _ in range(50):
        # Never exactly 0, where the closed form of the mean has no value.
        middle = 0.5 * (low + high) + 1e-9
        above = 0.5 + 0.5 / np.tanh(0.5 * middle) - 1.0 / middle > mean
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return low


def start_log_counts(mean: np.ndarray, levels: int) -> Array:
    """Logs of the mean counts, of which `mean` is shares of `levels`: float32 of its shape."""
    # An element that is always 0 must not start at −inf.
    return jnp.log(jnp.asarray(levels * np.maximum(mean, 1e-3), jnp.float32))
