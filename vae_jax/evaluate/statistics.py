"""The standard error of a mean, by one rule for all measures."""

import math
from typing import Any


def standard_error(values: Any) -> Any:
    """The standard error of the mean of an array `values` `[n, …]` over its first axis: `std / √n`, NaN for n = 1.

    `std` is that of a sample (n − 1 degrees of freedom). The result is of NumPy or JAX, as `values` is.
    """
    count = len(values)
    return values.std(axis=0, ddof=1) / math.sqrt(count) if count > 1 else math.nan * values[0]
