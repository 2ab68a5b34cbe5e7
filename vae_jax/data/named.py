"""The arrays of a dataset by their names: the splits that they make, and whether they fit together."""

import warnings
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from vae_jax.data.dataset import Split
from vae_jax.data.rows import Rows

# What the arrays of a split may be called. Training examples may also have the ending _train.
_NAMES = {
    "x": ("x", "images", "data"),
    "label": ("label", "labels", "y"),
    "condition": ("condition", "conditions"),
    "factors": ("factors",),
}
_ENDINGS = {"train": ("", "_train"), "validation": ("_val", "_valid", "_validation"), "test": ("_test",)}


def named_splits(where: str, names: Collection[str], read: Callable[[str], Any]) -> dict[str, Split]:
    """The splits "train", "validation" and "test" that arrays of these names make; `read(name)` gives one.

    Others are named in a warning. ValueError where the training examples are missing, an array has no examples that it
    could belong to, or two do not fit together.
    """
    chosen = {
        (part, field): next((n + end for end in endings for n in _NAMES[field] if n + end in names), None)
        for part, endings in _ENDINGS.items()
        for field in _NAMES
    }
    if chosen["train", "x"] is None:
        raise ValueError(
            f"{where}: found the arrays {list(names)}, but none named {', '.join(_NAMES['x'])} or x_train."
        )
    if unread := [name for name in names if name not in chosen.values()]:
        warnings.warn(f"{where}: the arrays {', '.join(unread)} are not read.", stacklevel=2)
    splits = {}
    for part in _ENDINGS:
        own = {field: chosen[part, field] for field in _NAMES}
        arrays = {field: None if name is None else read(name) for field, name in own.items()}
        if arrays["x"] is not None:
            splits[part] = checked(where, Split(**arrays))
        elif beside := [name for name in own.values() if name is not None]:
            raise ValueError(f"{where}: holds {beside[0]}, but no x{_ENDINGS[part][0]} that it could belong to.")
    train = splits["train"].x
    for part, split in splits.items():
        if split.x.shape[1:] != train.shape[1:]:
            raise ValueError(another_kind(where, part, split, train))
    return splits


def another_kind(where: str, part: str, split: Split, train: Any) -> str:
    """What the examples of a split must be, and are not."""
    return (
        f"{where}: x{_ENDINGS[part][0]} must be of the same kind as the training examples, {train.dtype} of shape "
        f"{train.shape[1:]}, got {split.x.dtype} of shape {split.x.shape[1:]}."
    )


def checked(where: str, split: Split) -> Split:
    """The split. ValueError unless x are numbers `[n, …]`, and what is beside them is of n examples."""
    x, label, condition, factors = split
    if x.dtype.kind not in "buif" or x.ndim < 2:
        raise ValueError(f"{where}: examples must be numbers of shape [n, …], got {x.dtype} of shape {x.shape}.")
    # What lies in a file is not gone through.
    if x.dtype.kind == "f" and not isinstance(x, Rows | np.memmap):
        infinite = np.flatnonzero(np.isinf(x).any(axis=tuple(range(1, x.ndim))))
        if len(infinite):
            raise ValueError(
                f"{where}: {len(infinite)} of {len(x)} examples hold infinite values, the first is number "
                f"{infinite[0]}. Remove them, or set what is not known to NaN."
            )
    if label is not None and label.shape != (len(x),):
        raise ValueError(f"{where}: labels must have shape ({len(x)},), got {label.shape}.")
    if condition is not None:
        _check_numbers(where, "condition", condition, len(x), f"({len(x)},) or ({len(x)}, c)")
    if factors is not None:
        _check_numbers(where, "factors", factors, len(x), f"({len(x)}, f)")
        if factors.ndim != 2:
            raise ValueError(unlike(where, "factors", factors, f"({len(x)}, f)"))
    return split


def unlike(where: str, name: str, array: np.ndarray, wanted: str) -> str:
    """What an array must be, and is not."""
    return f"{where}: {name} must be numbers of shape {wanted}, got {array.dtype} of shape {array.shape}."


def _check_numbers(where: str, name: str, array: np.ndarray, count: int, wanted: str) -> None:
    """ValueError unless the array holds finite numbers for each of `count` examples."""
    if array.dtype.kind not in "buif" or not array.ndim or len(array) != count:
        raise ValueError(unlike(where, name, array, wanted))
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: {name} holds NaN or infinite values. Remove those examples first.")
