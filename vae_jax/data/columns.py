"""Columns of a table: the family of each, proposed from its values, and their values as numbers.

A table is stored as float32 `[n, d]`, a column each: reals and counts as they are, bits and categories as the numbers
of their values, and NaN for a gap.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from vae_jax.data.reals import as_reals

Family = Literal["reals", "counts", "bits", "categories"]
FAMILIES: tuple[str, ...] = get_args(Family)
# A column that is left out.
SKIPPED = "skip"

# A column of strings with more different values than this share of its rows is a name of each row.
_MOST_DIFFERENT = 0.5
_FEW = 20
# Counts begin near 0: whole numbers whose least is above this are real numbers, as years and ages of adults are.
_LEAST_COUNT = 10
_MOST_CATEGORIES = 1000


class Column(NamedTuple):
    """`family`: of p(x_j | z). `values`: what the numbers 0, 1, … of bits and categories stand for."""

    name: str
    family: Family
    values: tuple[Any, ...] = ()

    @property
    def choices(self) -> int:
        """How many values there are; 0 for reals and counts."""
        return len(self.values)


class Proposal(NamedTuple):
    """What a column is taken for: a family, or "skip"; and why, in words."""

    family: str
    reason: str


def proposal(values: np.ndarray) -> Proposal:
    """The family of raw values `[n]`: numbers with NaN for a gap, or strings or booleans with None."""
    known = observed(values)
    different = len(set(known.tolist()))
    if different <= 1:
        return Proposal(SKIPPED, "the same in every row" if different else "empty")
    if values.dtype.kind == "O":
        if different > max(_FEW, _MOST_DIFFERENT * len(known)) or different > _MOST_CATEGORIES:
            return Proposal(SKIPPED, f"{different} different values: a name of each row")
        return Proposal("bits" if different == 2 else "categories", f"{different} different values")
    if set(known.tolist()) <= {0.0, 1.0}:
        return Proposal("bits", "0 and 1")
    least, most = known.min(), known.max()
    if not np.array_equal(known, np.floor(known)):
        return Proposal("reals", f"{least:.4g} to {most:.4g}")
    if len(known) > _FEW and len(known) == len(values) and (np.diff(known) == 1).all():
        return Proposal(SKIPPED, "the number of the row")
    if 0 <= least <= _LEAST_COUNT:
        return Proposal("counts", f"whole numbers {least:.0f} to {most:.0f}")
    return Proposal("reals", f"whole numbers {least:.0f} to {most:.0f}")


def are_counts(values: np.ndarray) -> bool:
    """Whether numbers, NaN for a gap, are whole and never negative."""
    known = observed(values)
    return bool((known >= 0).all()) and np.array_equal(known, np.floor(known))


def observed(values: np.ndarray) -> np.ndarray:
    """The values that are no gaps."""
    return values[[value is not None for value in values]] if values.dtype.kind == "O" else values[~np.isnan(values)]


def column_of(name: str, values: np.ndarray, family: str) -> Column:
    """The column of a family. ValueError where its values cannot be of that family, with what to do."""
    known = observed(values)
    if family not in FAMILIES:
        raise ValueError(f"--columns {name}={family}: a family is one of {', '.join(FAMILIES)}, or {SKIPPED}.")
    if family in ("bits", "categories"):
        # Numbers as numbers: 2 comes before 10.
        different = sorted(set(known.tolist()))
        if family == "bits" and len(different) > 2:
            raise ValueError(
                f"--columns {name}=bits: the column has {len(different)} different values. Use {name}=categories."
            )
        if len(different) > _MOST_CATEGORIES:
            raise ValueError(
                f"--columns {name}=categories: the column has {len(different)} different values, and a model knows "
                f"{_MOST_CATEGORIES} at most. Leave it out: --columns {name}={SKIPPED}."
            )
        return Column(name, family, tuple(different))
    if values.dtype.kind == "O":
        raise ValueError(
            f"--columns {name}={family}: the column holds {known[0]!r}, which is no number. Use {name}=categories, or "
            f"{name}={SKIPPED}."
        )
    if family == "counts" and not are_counts(known):
        raise ValueError(f"--columns {name}=counts: a count is whole and never negative. Use {name}=reals.")
    return Column(name, family)  # pyright: ignore[reportArgumentType]


def families_of(asked: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """`name=family` pairs as a dict. ValueError for another form, or a column that is not there."""
    families, known = {}, set(names)
    for pair in asked:
        name, separator, family = pair.rpartition("=")
        if not separator or name not in known:
            raise ValueError(
                f"--columns takes pairs NAME=FAMILY of the columns {', '.join(names)}; got {pair!r}. A family is one "
                f"of {', '.join(FAMILIES)}, or {SKIPPED}."
            )
        families[name] = family
    return families


def numbers(columns: Sequence[Column], table: Mapping[str, np.ndarray]) -> np.ndarray:
    """The columns of a table of raw values as float32 `[n, d]`. A value that a column does not know is a gap."""
    values = np.stack([_numbers(column, table[column.name]) for column in columns], axis=1)
    return as_reals("the table", values.astype(np.float64), [column.name for column in columns])


def _numbers(column: Column, values: np.ndarray) -> np.ndarray:
    if not column.values:
        return values
    values = _like(column, values)
    number = {value: i for i, value in enumerate(column.values)}
    return np.array([number.get(value, np.nan) for value in values.tolist()], np.float64)


def _like(column: Column, values: np.ndarray) -> np.ndarray:
    """Values of the type that the column's have: what a file holds decides what it looks like."""
    if isinstance(column.values[0], str):
        return as_strings(values)
    if values.dtype.kind != "O":
        return values
    known = {word: value for value in column.values for word in (as_string(value), str(value), str(value).upper())}
    # One word among numbers, and all of them look like strings.
    return np.array([known.get(v, v) if isinstance(v, str) else v for v in values.tolist()], object)


def as_strings(values: np.ndarray) -> np.ndarray:
    """Raw values as strings, a gap as None."""
    return np.array([as_string(value) for value in values.tolist()], object)


def as_string(value: Any) -> str | None:
    """A raw value as a file of text has it: 1.0 as 1, True as true, a gap as None."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if np.isnan(value):
        return None
    return f"{value:.0f}" if float(value).is_integer() else repr(float(value))


def unknown_values(columns: Sequence[Column], table: Mapping[str, np.ndarray]) -> dict[str, list[Any]]:
    """The values of bits and categories that their columns do not know, by name."""
    found = {}
    for column in columns:
        if column.values:
            new = set(observed(_like(column, table[column.name])).tolist()) - set(column.values)
            found |= {column.name: sorted(new, key=str)} if new else {}
    return found


def raw_values(column: Column, x: np.ndarray) -> list[Any]:
    """Numbers `[n]` of a column as they stand in its table: None for a gap."""
    if column.values:
        return [None if np.isnan(number) else column.values[int(number)] for number in x]
    if column.family == "counts":
        return [None if np.isnan(number) else int(number) for number in x]
    # As few digits as tell a float32.
    return [None if np.isnan(number) else float(str(np.float32(number))) for number in x]
