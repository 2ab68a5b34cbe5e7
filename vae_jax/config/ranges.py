"""Which numbers a field of a config may hold: a range stands beside the number that it bounds."""

from collections.abc import Callable
from typing import Annotated, NamedTuple, TypeVar

T = TypeVar("T")


class Range(NamedTuple):
    """Which numbers a field may hold, `says` in words: "--beta must be at least 0, got -1." None is always allowed."""

    holds: Callable[[float], bool]
    says: str


Positive = Annotated[T, Range(lambda v: v > 0, "greater than 0")]
NotNegative = Annotated[T, Range(lambda v: v >= 0, "at least 0")]
Several = Annotated[T, Range(lambda v: v >= 2, "at least 2")]
# Shares of a whole: with both ends, without the upper end, and without either.
Share = Annotated[T, Range(lambda v: 0 <= v <= 1, "between 0 and 1")]
ShareBelowOne = Annotated[T, Range(lambda v: 0 <= v < 1, "at least 0 and below 1")]
InnerShare = Annotated[T, Range(lambda v: 0 < v < 1, "above 0 and below 1")]
