"""A look at data before a model is trained on them: what is valid, but hardly what was meant."""

import hashlib
from collections.abc import Iterator

import numpy as np

from vae_jax.data.dataset import Dataset, Split
from vae_jax.data.rows import blocks

# Columns that are named in one message.
_NAMED = 5
# Two rows of a table may be the same by chance.
_MOST_SHARED = 0.05


def faults(dataset: Dataset) -> Iterator[str]:
    """What is odd about the splits, a sentence each, with what to do."""
    train = dataset.train
    scale_fault = dataset.scale_fault
    if scale_fault is not None:
        yield scale_fault
    if dataset.columns is None and len(dataset.shape) == 1 and (same := _constant(train)):
        names = dataset.names
        listed = ", ".join(str(j if names is None else names[j]) for j in same[:_NAMED])
        more = ", …" if len(same) > _NAMED else ""
        yield (
            f"{len(same)} of {dataset.shape[0]} elements of {dataset.name} are the same in every example: "
            f"{listed}{more}. {_without(same, is_table=names is not None)}"
        )
    shape = dataset.shape
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3):
        yield (
            f"the images of {dataset.name} have the shape {shape}, colours first. No picture of them is drawn: save "
            "x.transpose(0, 2, 3, 1)."
        )
    for part, split in (("validation", dataset.validation), ("test", dataset.test)):
        shared = _shared(train, split)
        if shared > _MOST_SHARED * len(split.x):
            yield (
                f"{shared} of {len(split.x)} {part} examples of {dataset.name} are training examples too, so numbers "
                "of that split are too good. Leave repeated examples out, as by np.unique(x, axis=0), and of a split "
                "of your own those that the training split has."
            )


def _without(same: list[int], *, is_table: bool) -> str:
    """How elements are left out that are the same in every training example."""
    if is_table:
        return "Leave these columns out of the file."
    if len(same) <= _NAMED:
        return f"Leave them out of every split: np.delete(x, {same}, axis=1)."
    return "Leave them out of every split: x[:, kept], where kept = (x != x[0]).any(axis=0) of the training split."


def check_varies(dataset: Dataset) -> None:
    """ValueError where all training examples are the same."""
    x = dataset.train.x
    first = x[:1]
    same = (((some == first) | ((some != some) & (first != first))).all() for some in blocks(x))
    if len(x) > 1 and all(same):
        raise ValueError(f"all {len(x)} training examples of {dataset.name} are the same: there is nothing to learn.")


def _constant(split: Split) -> list[int]:
    first = split.x[:1]
    return np.flatnonzero(np.all([(some == first).all(axis=0) for some in blocks(split.x)], axis=0)).tolist()


def _shared(train: Split, other: Split) -> int:
    """How many examples of a split the training split has too."""
    if not len(other.x):
        return 0
    digests = list(_digests(other))
    # Of the two, the training split may be too large to be kept.
    known = set(digests).intersection(_digests(train))
    return sum(digest in known for digest in digests)


def _digests(split: Split) -> Iterator[bytes]:
    return (hashlib.blake2b(row.tobytes(), digest_size=16).digest() for some in blocks(split.x) for row in some)
