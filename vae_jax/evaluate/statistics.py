"""The error of a mean, by one rule."""

import math
from typing import Any


def standard_error(values: Any) -> Any:
    """The standard error of the mean of `values` `[n, …]`, an array, over its first axis: `std / √n`, NaN for n = 1.

    The spread is that of a sample (n − 1 degrees of freedom). NumPy in, NumPy out, and the same with JAX.
    """
    count = len(values)
    return values.std(axis=0, ddof=1) / math.sqrt(count) if count > 1 else math.nan * values[0]
