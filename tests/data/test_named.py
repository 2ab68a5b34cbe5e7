"""Arrays by their names, wherever they come from: the files and `vj.fit` have tests of what they make of them."""

import numpy as np
import pytest

from vae_jax.data.named import named_splits

X = np.arange(12.0).reshape(6, 2)


def test_each_split_has_the_arrays_of_its_ending() -> None:
    arrays = {"images": X, "y": np.arange(6), "x_valid": X[:2], "factors_validation": X[:2], "x_test": X[:3]}
    splits = named_splits("mine", arrays, arrays.__getitem__)
    assert list(splits) == ["train", "validation", "test"]
    np.testing.assert_array_equal(splits["train"].label, np.arange(6))
    np.testing.assert_array_equal(splits["validation"].factors, X[:2])
    assert splits["test"].label is None


def test_the_first_of_several_names_is_read_and_the_others_are_told() -> None:
    arrays = {"data": X + 1.0, "x": X, "z": X}
    with pytest.warns(UserWarning, match="mine: the arrays data, z are not read"):
        np.testing.assert_array_equal(named_splits("mine", arrays, arrays.__getitem__)["train"].x, X)


@pytest.mark.parametrize("where", [0, 5])
def test_infinite_values_are_refused_with_their_place(where: int) -> None:
    x = X.copy()
    x[where, 1] = -np.inf
    with pytest.raises(ValueError, match=f"mine: 1 of 6 examples hold infinite values, the first is number {where}"):
        named_splits("mine", {"x": x}, {"x": x}.__getitem__)
    x[where, 1] = np.nan
    assert named_splits("mine", {"x": x}, {"x": x}.__getitem__)
