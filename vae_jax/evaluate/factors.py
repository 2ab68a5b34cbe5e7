"""Codes and known factors as the scores take them: what moves told from what does not, classes from real numbers."""

from typing import Any, NamedTuple

import numpy as np

# Codes, and factors that are real numbers, are cut into so many pieces of equal width, as for the published numbers.
PIECES = 20
# A column whose numbers are no further apart than so many units of rounding of the largest is one number.
_ROUNDINGS = 4.0


class Factor(NamedTuple):
    """A known factor `[n]`: the classes 0, 1, … in the order of their numbers, or real numbers (`real`)."""

    values: np.ndarray
    real: bool

    @property
    def pieces(self) -> np.ndarray:
        """`[n]` whole numbers: the classes themselves, or which of the pieces a real number lies in."""
        return pieces(self.values) if self.real else self.values


def varies(columns: Any) -> np.ndarray:
    """`[d]`: which columns of `[n, d]` hold more than one number and its rounding.

    A network computes the same number on the same input in more than one way, and they differ in their last digit: a
    column is constant where its numbers are no further apart than 4 units of rounding of the largest. Of a column of
    float64 all of whose numbers are those of float32, the rounding of float32 counts; whole numbers have none.
    """
    columns = np.asarray(columns)
    numbers = columns.astype(np.float64)
    rounding = np.full(numbers.shape[1], np.finfo(columns.dtype).eps if columns.dtype.kind == "f" else 0.0)
    with np.errstate(over="ignore"):
        narrow = (numbers == numbers.astype(np.float32)).all(axis=0)
    rounding = np.where(narrow, np.maximum(rounding, np.finfo(np.float32).eps), rounding)
    rounding = np.where((numbers == np.rint(numbers)).all(axis=0), 0.0, rounding)
    return np.ptp(numbers, axis=0) > _ROUNDINGS * rounding * np.abs(numbers).max(axis=0)


def pieces(column: np.ndarray) -> np.ndarray:
    """`[n]`: which of 20 pieces of equal width between its extremes each number of `[n]` lies in, from 0 on."""
    return np.digitize(column, np.linspace(column.min(), column.max(), PIECES + 1)[1:-1])


def checked(name: str, codes: Any, factors: Any) -> tuple[np.ndarray, list[Factor]]:
    """Codes `[n, d]` of float64, those that do not move made exactly constant; and the factors, column by column.

    A column of whole numbers is a factor of classes, however they are stored; any other is a real number. ValueError
    for what no score can take.
    """
    codes, factors = np.asarray(codes), np.asarray(factors)
    for what, array in (("codes", codes), ("factors", factors)):
        if array.ndim != 2 or array.shape[1] < 1:
            raise ValueError(f"{name}: {what} must have shape (n, {what[0]}), got {array.shape}.")
    if len(codes) != len(factors):
        raise ValueError(
            f"{name}: one row of factors for each row of codes is needed, got {len(codes)} codes and {len(factors)} "
            "rows of factors."
        )
    if len(codes) < 2:
        raise ValueError(f"{name}: at least two examples are needed, got {len(codes)}.")
    if codes.dtype.kind not in "fiub" or factors.dtype.kind not in "fiub":
        raise ValueError(f"{name}: codes and factors must be numbers, got {codes.dtype} and {factors.dtype}.")
    for what, array in (("codes", codes), ("factors", factors)):
        bad = ~np.isfinite(array).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{name}: {bad.sum()} of {len(array)} {what} are not finite, the first in row {bad.argmax()}."
            )
    constant = np.flatnonzero(~varies(factors))
    if len(constant):
        raise ValueError(
            f"{name}: factor {', '.join(map(str, constant))} has one value only, so nothing can be said of it. Leave "
            "its column out."
        )
    moving = np.where(varies(codes)[None], codes, codes[:1])
    return moving.astype(np.float64), [_factor(column) for column in factors.T]


def _factor(column: np.ndarray) -> Factor:
    if column.dtype.kind == "f" and (column != np.rint(column)).any():
        return Factor(column.astype(np.float64), real=True)
    return Factor(np.unique(column, return_inverse=True)[1], real=False)
