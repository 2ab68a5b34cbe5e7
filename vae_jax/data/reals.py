"""Real numbers as float32, in which models are."""

import warnings
from collections.abc import Sequence

import numpy as np

# Steps of float32 that the standard deviation of a column spans at least.
_STEPS = 30


def as_reals(name: str, x: np.ndarray, columns: Sequence[str] | None = None) -> np.ndarray:
    """`x` as float32. ValueError where it has no such number.

    A warning where the rows of a table `[n, d]` differ by less than float32 can tell. Such are times in seconds since
    1970: a standardisation comes too late for them.
    """
    # Those that are too many for the memory are not looked at.
    if isinstance(x, np.ndarray) and x.ndim == 2 and x.size and x.dtype != np.float32:
        known = np.isfinite(x)
        values, count = np.where(known, x, 0.0).astype(np.float64), np.maximum(known.sum(axis=0), 1)
        centre = values.sum(axis=0) / count
        spread = np.sqrt(np.where(known, np.square(values - centre), 0.0).sum(axis=0) / count)
        with np.errstate(over="ignore", invalid="ignore"):
            step = np.spacing(np.abs(values).max(axis=0).astype(np.float32))
        lost = np.flatnonzero((spread > 0.0) & (spread < _STEPS * step))
        if len(lost):
            j = int(lost[0])
            column = columns[j] if columns else j
            warnings.warn(
                f"{name}: column {column} holds numbers about {centre[j]:g} that differ by {spread[j]:.2g}, and "
                f"float32 has them in steps of {step[j]:.2g}. Subtract what they have in common first.",
                stacklevel=2,
            )
    with np.errstate(over="ignore"):
        reals = x.astype(np.float32)
    if isinstance(x, np.ndarray) and x.dtype.itemsize > 4 and (np.isinf(reals) & np.isfinite(x)).any():
        raise ValueError(f"{name} holds numbers beyond 3.4e38, the largest of float32. Divide them first.")
    return reals
