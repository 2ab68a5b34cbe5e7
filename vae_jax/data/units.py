"""Units that a network works in: each real number less its mean, divided by its standard deviation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.rows import blocks


class Units(NamedTuple):
    """A value v of an element is (v - centre) / spread for a network. Arrays of the shape of an example, float32."""

    centre: np.ndarray
    spread: np.ndarray


def _sums(x: np.ndarray, centre: Any, of: Callable[[Any], Any] = np.positive) -> tuple[Any, Any]:
    """How many values each element has that are no NaN, and the sum of a function of their distance from a centre."""
    values = np.asarray(x, np.float64)
    known = ~np.isnan(values)
    return known.sum(axis=0), np.where(known, of(values - centre), 0.0).sum(axis=0)


def units_of(x: np.ndarray) -> Units:
    """Mean and standard deviation of each element of `[n, …]`, without its NaN; a constant has a spread of 1."""
    parts = [_sums(some, 0.0) for some in blocks(x)]
    count = np.maximum(sum(known for known, _ in parts), 1)
    centre = sum(total for _, total in parts) / count
    spread = np.sqrt(sum(_sums(some, centre, np.square)[1] for some in blocks(x)) / count)
    # What varies by less than float32 can tell is constant.
    constant = spread <= 1e-6 * np.maximum(np.abs(centre), np.finfo(np.float32).tiny)
    return Units(centre.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32))
