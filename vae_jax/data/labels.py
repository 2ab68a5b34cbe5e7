"""Labels: how many classes there are, and a few labelled examples of each."""

import numpy as np

from vae_jax.data.dataset import Dataset


def num_classes(dataset: Dataset) -> int:
    """One more than the largest label: classes are numbered 0, 1, …. ValueError without labels, or below 0."""
    labels = [split.label for split in (dataset.train, dataset.validation, dataset.test) if split.label is not None]
    if dataset.train.label is None:
        raise ValueError(
            f"this system learns from labels, but {dataset.name} has none. Put them into your file as `label`, "
            "integers 0, 1, 2, …."
        )
    least = min(int(label.min(initial=0)) for label in labels)
    if least < 0:
        raise ValueError(f"labels must be integers 0, 1, 2, …, but {dataset.name} holds {least}.")
    return 1 + max(int(label.max(initial=0)) for label in labels)


def labelled_rows(label: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """`[count]` row numbers, equally many of each class, drawn by `seed`. ValueError where a class has too few."""
    if label is None:
        raise ValueError("--labelled needs data with labels: integers 0, 1, 2, … in your file as `label`.")
    classes = np.unique(label)
    each, rest = divmod(count, len(classes))
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
