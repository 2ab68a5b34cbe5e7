import dataclasses

import numpy as np
import pytest

from vae_jax.data import load
from vae_jax.data.labels import labelled_rows, num_classes

DIGITS = load("digits")


def with_labels(label: np.ndarray | None) -> object:
    return dataclasses.replace(DIGITS, train=DIGITS.train._replace(label=label))


def test_labelled_rows_are_balanced_and_by_seed() -> None:
    label = np.asarray(DIGITS.train.label)
    rows = labelled_rows(label, 50, 0)
    assert (np.bincount(label[rows]) == 5).all()
    assert len(set(rows.tolist())) == 50
    np.testing.assert_array_equal(rows, labelled_rows(label, 50, 0))
    assert set(rows.tolist()) != set(labelled_rows(label, 50, 1).tolist())


def test_every_example_of_a_class_may_be_labelled() -> None:
    label = np.array([3, 1, 3, 1], np.int32)
    assert sorted(labelled_rows(label, 4, 0).tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("label", "count", "message"),
    [
        (None, 10, "--labelled needs data with labels"),
        (np.arange(10), 15, "a multiple of 10, got 15"),
        (np.arange(10), 0, "a multiple of 10, got 0"),
        (np.arange(10), 20, "wants 2 examples of class 0, which has only 1"),
    ],
)
def test_labels_that_are_not_there_are_refused(label, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        labelled_rows(label, count, 0)


def test_classes_are_counted_over_all_splits() -> None:
    assert num_classes(DIGITS) == 10
    # The highest class may be in the test split alone.
    assert num_classes(with_labels(np.minimum(np.asarray(DIGITS.train.label), 4))) == 10


@pytest.mark.parametrize(
    ("label", "message"),
    [(None, "learns from labels, but digits has none"), (np.full(len(DIGITS.train.x), -1), "but digits holds -1")],
)
def test_classes_need_labels_from_zero_on(label, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        num_classes(with_labels(label))
