"""Points in latent space: grids and paths for pictures."""

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_array, check_count
from vae_jax.core.types import Array


def manifold_grid(num: int, *, tail: float = 0.02) -> Array:
    """`[num, num, 2]`: codes at equal steps of prior probability, by the inverse CDF of the standard normal.

    Row 0 is the top of a picture (largest second coordinate). `tail` is the probability left outside at each
    end. ValueError for num < 1. Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, appendix A.
    """
    check_count("manifold_grid", "num", num)
    ticks = jax.scipy.stats.norm.ppf(jnp.linspace(tail, 1.0 - tail, num))
    first, second = jnp.meshgrid(ticks, ticks[::-1])
    return jnp.stack([first, second], axis=-1)


def interpolate(start: Array, end: Array, num: int) -> Array:
    """`[num, d]`: equal steps on the line from `start` `[d]` to `end` `[d]`, ends included. ValueError for num < 1."""
    check_count("interpolate", "num", num)
    for name, code in (("start", start), ("end", end)):
        check_array("interpolate", name, code, rank=1)
    if start.shape != end.shape:
        raise ValueError(f"interpolate: codes must be of one size, got {start.shape} and {end.shape}.")
    weight = jnp.linspace(0.0, 1.0, num)[:, None]
    return (1.0 - weight) * start[None] + weight * end[None]


def traverse(code: Array, values: Array) -> Array:
    """`[d, v, d]`: entry `[j, i]` is the `code` `[d]` with dimension j set to `values[i]`, or to `values[i, j]`."""
    size = code.shape[0]
    values = jnp.broadcast_to(values[:, None], (len(values), size)) if values.ndim == 1 else values
    return jnp.where(jnp.eye(size, dtype=bool)[:, None, :], values[None], code[None, None, :])
