"""Labels: how classes are numbered, how many there are, and a few labelled examples of each."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from vae_jax.data.columns import as_string
from vae_jax.data.dataset import Dataset

# The number of an example whose class is not known.
UNLABELLED = -1
# Class numbers are their own up to here. Larger ones are names, or every class below would have an output of its own.
_MOST_NUMBER = 999

Classes = tuple[str, ...] | tuple[int, ...]


def numbered(
    name: str, labels: Sequence[np.ndarray | None], known: Classes | None = None
) -> tuple[list[np.ndarray | None], Classes | None]:
    """`(numbers, classes)`: the labels `[n]` of several splits as int32, and the names of the classes by number.

    Integers 0..999 are numbers already, then `classes` is None. Other integers and strings are names, numbered in their
    order; `known` names come first. −1, NaN, None and the empty string say that the class is not known. ValueError for
    anything else.
    """
    labels = [array if array is None or array.dtype != object else _of_objects(array) for array in labels]
    given = [array for array in labels if array is not None]
    for array in given:
        _check(name, array)
    if not given:
        return list(labels), known
    strings = any(array.dtype.kind in "US" for array in given) or any(isinstance(name, str) for name in known or ())
    plain = [_words(array) if strings else _integers(array) for array in given]
    unknown = [(array == "") | (array == str(UNLABELLED)) if strings else array == UNLABELLED for array in plain]
    present = np.unique(np.concatenate([array[~gone] for array, gone in zip(plain, unknown, strict=True)]))
    if known is None and not strings and (not len(present) or 0 <= present[0] <= present[-1] <= _MOST_NUMBER):
        return [None if array is None else _integers(array).astype(np.int32) for array in labels], None
    # In the order of their first mention, once each.
    order = list(dict.fromkeys([*(known or ()), *present.tolist()]))
    number = {value: i for i, value in enumerate(order)} | {"": UNLABELLED, UNLABELLED: UNLABELLED, "-1": UNLABELLED}
    found = iter(plain)
    numbers = [
        None if array is None else np.array([number[value] for value in next(found).tolist()], np.int32)
        for array in labels
    ]
    return numbers, tuple(order)  # pyright: ignore[reportReturnType]


def _of_objects(label: np.ndarray) -> np.ndarray:
    """Python's strings, or its whole numbers, as arrays; as pandas has them, with gaps. Others stay."""
    # A gap is not equal to itself, and pandas' own does not say.
    values = [None if value is None or str(value == value) != "True" else value for value in label.tolist()]
    if all(value is None or isinstance(value, str) for value in values):
        return np.array([value or "" for value in values], str)
    if all(value is None or isinstance(value, Integral) for value in values):
        return np.array([UNLABELLED if value is None else value for value in values], np.int64)
    return label


def _check(name: str, label: np.ndarray) -> None:
    whole = label.dtype.kind == "f" and np.array_equal(label[~np.isnan(label)], np.floor(label[~np.isnan(label)]))
    if label.dtype.kind not in "buiUS" and not whole:
        raise ValueError(
            f"{name}: labels must be integers or strings, got {label.dtype}. Real numbers that a model is told are "
            "`condition`."
        )


def _words(label: np.ndarray) -> np.ndarray:
    """Labels as strings: numbers as a file of text has them, and one that is not known is empty."""
    if label.dtype.kind in "US":
        return label.astype(str)
    return np.array([as_string(value) or "" for value in label.tolist()], str)


def _integers(label: np.ndarray) -> np.ndarray:
    if label.dtype.kind == "f":
        label = np.where(np.isnan(label), UNLABELLED, label)
    return label.astype(np.int64)


def named(label: np.ndarray, classes: Classes | None) -> np.ndarray:
    """Numbers of classes `[n]` as the names that they had; an unknown class is −1 or the empty string again."""
    if classes is None:
        return label
    names = np.asarray(classes)
    return np.where(label == UNLABELLED, "" if names.dtype.kind == "U" else UNLABELLED, names[label])


def is_labelled(label: Any) -> Any:
    """Whether the class of each example is known, `[n]`."""
    return label != UNLABELLED


def num_classes(dataset: Dataset) -> int:
    """How many classes there are: those with names, or one more than the largest number. ValueError without labels, or
    with more classes than a model can be told.
    """
    labels = [split.label for split in dataset.splits if split.label is not None]
    if dataset.train.label is None or not is_labelled(dataset.train.label).any():
        raise ValueError(
            f"this system learns from labels, but {dataset.name} has none. Put them into your file as `label`: class "
            "numbers 0, 1, 2, …, or names."
        )
    if dataset.classes is None:
        return 1 + max(int(label.max(initial=0)) for label in labels)
    if len(dataset.classes) > _MOST_NUMBER + 1:
        raise ValueError(
            f"{dataset.name} has {len(dataset.classes)} classes, but a model knows {_MOST_NUMBER + 1} at most. "
            "A conditional model may be told numbers instead: put `condition` beside x into the .npz."
        )
    return len(dataset.classes)


def labelled_rows(label: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """`[count]` row numbers, equally many of each class, drawn by `seed`. ValueError where a class has too few."""
    if label is None:
        raise ValueError("--labelled needs data with labels: class numbers or names in your file as `label`.")
    classes = np.unique(label[is_labelled(label)])
    each, rest = divmod(count, max(len(classes), 1))
    if rest or not each:
        raise ValueError(
            f"--labelled must give every one of {len(classes)} classes as many examples: a multiple of {len(classes)}, "
            f"got {count}."
        )
    random = np.random.default_rng(seed)
    rows = []
    for number in classes:
        members = np.flatnonzero(label == number)
        if len(members) < each:
            raise ValueError(
                f"--labelled {count} wants {each} examples of class {number}, which has only {len(members)}."
            )
        rows.append(random.permutation(members)[:each])
    return np.concatenate(rows)
