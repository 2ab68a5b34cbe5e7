"""The Pareto k̂ of importance weights: whether their mean can be trusted.

Below 0.5 the mean has a finite variance. Up to 0.7 it is still useful; above 0.7 it is not, however small its
reported standard error.
"""

import math

import jax
import jax.numpy as jnp

from vae_jax.core.types import Array

# Fewer weights than this say nothing of a tail.
LEAST_TAIL = 5

# Log-weights of a tail that differ by less than this count as equal.
_EQUAL = 1e-3

# A weight whose log is this far below the largest is as good as zero in float32.
_VANISHED = -80.0


def tail_size(num_samples: int) -> int:
    """How many of the largest of k weights are the tail: `min(k/5, 3 √k)`; 0 where that is too few to fit."""
    size = min(num_samples // 5, math.floor(3.0 * math.sqrt(num_samples)))
    return size if size >= LEAST_TAIL else 0


def pareto_k(largest: Array) -> Array:
    """k̂ from the `tail_size + 1` largest log-weights `[M + 1]`, in any order: a scalar.

    A generalised Pareto distribution is fitted to the differences between the M largest weights and the next one;
    k̂ is its shape. The fit is the empirical Bayes one of Zhang and Stephens (2009), with a weak prior at 0.5.
    −inf where all are equal to 0.1%: so good a sampler leaves only rounding to fit. +inf where most vanish beside
    the largest: float32 cannot hold both. NaN where a quarter equal the next one: the few weights of a discrete
    code have no tail.

    Source: Pareto Smoothed Importance Sampling, arXiv 1507.02646.
    """
    ordered = jnp.sort(largest)
    size = ordered.shape[0] - 1
    weights = jnp.exp(ordered - ordered[-1])
    excess = weights[1:] - weights[0]
    top, quartile = excess[-1], excess[int(size / 4 + 0.5) - 1]
    equal = ordered[-1] - ordered[0] < _EQUAL
    unknown = quartile <= 0.0
    # A quartile of 0 comes of two weights that are equal, or that both vanish in float32.
    vanished = unknown & (ordered[int(size / 4 + 0.5)] - ordered[-1] < _VANISHED)
    excess, top, quartile = (jnp.where(equal | unknown, 1.0, part) for part in (excess, top, quartile))

    candidates = 30 + int(math.sqrt(size))
    grid = 1.0 - jnp.sqrt(candidates / (jnp.arange(1, candidates + 1, dtype=float) - 0.5))
    inverse_scale = grid / (3.0 * quartile) + 1.0 / top

    def shape(b: Array) -> Array:
        return jnp.mean(jnp.log1p(-b * excess))

    shapes = jax.vmap(shape)(inverse_scale)
    profile = size * (jnp.log(-inverse_scale / shapes) - shapes - 1.0)
    posterior = jax.nn.softmax(profile)
    fitted = shape(jnp.sum(posterior * inverse_scale))
    regularised = (size * fitted + 10 * 0.5) / (size + 10)
    return jnp.where(equal, -jnp.inf, jnp.where(vanished, jnp.inf, jnp.where(unknown, jnp.nan, regularised)))
