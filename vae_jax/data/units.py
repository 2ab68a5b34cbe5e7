"""Units that a network works in: each real number less its mean, divided by its standard deviation."""

from typing import NamedTuple

import numpy as np


class Units(NamedTuple):
    """A value v of an element is (v - centre) / spread for a network. Arrays of the shape of an example, float32."""

    centre: np.ndarray
    spread: np.ndarray


def units_of(x: np.ndarray) -> Units:
    """Mean and standard deviation of each element of `[n, …]`, without its NaN; a constant has a spread of 1."""
    values = np.asarray(x, np.float64)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, values, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, np.square(values - centre), 0.0).sum(axis=0) / count)
    # What varies by less than float32 can tell is constant.
    constant = spread <= 1e-6 * np.maximum(np.abs(centre), np.finfo(np.float32).tiny)
    return Units(centre.astype(np.float32), np.where(constant, 1.0, spread).astype(np.float32))
