"""Moments of each element of many examples, a few rows at a time: as float64, bytes are eight times as many."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Numbers of a block, of which some copies are made as float64.
_BLOCK = 2**18


class Moments(NamedTuple):
    """Of each element, without its NaN: float64 of the shape of an example, NaN where an element has no value."""

    mean: np.ndarray
    variance: np.ndarray
    least: np.ndarray
    most: np.ndarray


def moments(x: np.ndarray, change: Callable[[np.ndarray], np.ndarray] = np.asarray) -> Moments:
    """Of examples `[n, …]`. `change`: what becomes of some rows first, in each of two passes; it may leave some out."""
    shape = x.shape[1:]
    step = max(1, _BLOCK // max(1, int(np.prod(shape))))
    starts = range(0, max(len(x), 1), step)
    count, total = np.zeros(shape), np.zeros(shape)
    least, most = np.full(shape, np.inf), np.full(shape, -np.inf)
    for first in starts:
        part = change(x[first : first + step]).astype(np.float64)
        known = ~np.isnan(part)
        count += known.sum(axis=0)
        total += np.where(known, part, 0.0).sum(axis=0)
        least = np.fmin(least, np.fmin.reduce(part, axis=0, initial=np.inf))
        most = np.fmax(most, np.fmax.reduce(part, axis=0, initial=-np.inf))
    size = np.where(count > 0, count, np.nan)
    mean, squares = total / size, np.zeros(shape)
    for first in starts:
        part = change(x[first : first + step]).astype(np.float64)
        squares += np.where(np.isnan(part), 0.0, np.square(part - mean)).sum(axis=0)
    return Moments(mean, squares / size, np.where(count > 0, least, np.nan), np.where(count > 0, most, np.nan))
