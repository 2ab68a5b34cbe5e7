import dataclasses

import numpy as np
import pandas as pd
import pytest

from vae_jax.data import load
from vae_jax.data.labels import is_labelled, labelled_rows, named, num_classes, numbered

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
    [(None, "learns from labels, but digits has none"), (np.full(len(DIGITS.train.x), -1), "but digits has none")],
)
def test_classes_need_labels_from_zero_on(label, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        num_classes(with_labels(label))


NAMED = [
    ([0, 2, -1, 1], [0, 2, -1, 1], None),
    ([0.0, np.nan, -1.0, 3.0], [0, -1, -1, 3], None),
    ([True, False, True, True], [1, 0, 1, 1], None),
    ([1_000_000, 2_000_000, -1, 1_000_000], [0, 1, -1, 0], (1_000_000, 2_000_000)),
    ([-5, 7, 7, -1], [0, 1, 1, -1], (-5, 7)),
    (["cat", "dog", "", "cat"], [0, 1, -1, 0], ("cat", "dog")),
    (["ä b", "1", "-1", "1"], [1, 0, -1, 0], ("1", "ä b")),
]
# As pandas has them.
OBJECTS = [
    (["dog", "cat", None, "dog"], [1, 0, -1, 1], ("cat", "dog")),
    (["dog", "cat", np.nan, "dog"], [1, 0, -1, 1], ("cat", "dog")),
    ([2, 0, pd.NA, 1], [2, 0, -1, 1], None),
    ([np.int64(2), 0, None, 1], [2, 0, -1, 1], None),
]


@pytest.mark.parametrize(("label", "numbers", "classes"), OBJECTS)
def test_labels_may_be_objects_of_python(label: list, numbers: list, classes) -> None:
    (found,), names = numbered("data", [np.array(label, object)])
    assert names == classes
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize("label", [["a", 1], [1.5, 2.0], [np.float64(0.5), None], [(), ()]])
def test_other_objects_are_no_labels(label: list) -> None:
    objects = np.empty(2, object)
    objects[:] = label
    with pytest.raises(ValueError, match="labels must be integers or strings"):
        numbered("data", [objects])


@pytest.mark.parametrize(("label", "numbers", "classes"), NAMED)
def test_classes_have_names_and_an_example_may_have_no_class(label: list, numbers: list, classes) -> None:
    (found, missing), names = numbered("data", [np.array(label), None])
    assert missing is None
    assert names == classes
    np.testing.assert_array_equal(found, numbers)
    assert found is not None
    assert found.dtype == np.int32
    back = named(found, names)
    known = is_labelled(found)
    np.testing.assert_array_equal(back[known], np.array(label)[known])
    assert set(back[~known].tolist()) <= {-1, ""}


def test_another_file_keeps_the_numbers_of_the_classes() -> None:
    (found,), names = numbered("data", [np.array(["dog", "emu", "dog"])], known=("cat", "dog"))
    assert names == ("cat", "dog", "emu")
    np.testing.assert_array_equal(found, [1, 2, 1])


def test_few_labels_are_drawn_from_those_that_are_known() -> None:
    label = np.array([-1] * 50 + [0, 1] * 5, np.int32)
    rows = labelled_rows(label, 4, 0)
    assert sorted(label[rows].tolist()) == [0, 0, 1, 1]
