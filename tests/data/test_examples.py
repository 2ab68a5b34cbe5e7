import numpy as np
import pytest

from vae_jax.data import examples, rows
from vae_jax.data.examples import Examples
from vae_jax.data.rows import Rows

X = np.random.default_rng(0).integers(0, 256, (200, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize("threads", [1, 5, None])
def test_examples_are_like_the_array(threads: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "_AT_ONCE", 7)
    some = Examples(200, lambda numbers: X[numbers], threads)
    assert (some.shape, some.dtype) == (X.shape, X.dtype)
    for index in (2, np.array([4, 0, 4]), np.arange(60).reshape(3, 20), np.array([], int)):
        np.testing.assert_array_equal(some[index], X[index])


def test_those_that_fit_the_memory_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def read(numbers: list[int]) -> np.ndarray:
        asked.extend(numbers)
        return X[numbers]

    held = Examples(200, read).held()
    assert type(held) is np.ndarray
    np.testing.assert_array_equal(held, X)
    asked.clear()
    monkeypatch.setattr(rows, "_MOST_SHARE", 0.0)
    left = Examples(200, read).held()
    assert isinstance(left, Rows)
    np.testing.assert_array_equal(left.take(np.array([5, 3]))[:], X[[5, 3]])
    assert sorted(asked) == [0, 3, 5], "the first tells the shape; then no more than what is asked for"


@pytest.mark.parametrize("other", [X[3].astype(np.float32), X[3, :1], X[3].T])
def test_examples_that_are_not_alike_are_refused(other: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"example 3 holds .* and the first one uint8 of shape \(4, 3\): all must be"):
        Examples(200, lambda numbers: [other if number == 3 else X[number] for number in numbers]).held()


def test_the_error_of_an_example_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(numbers: list[int]) -> np.ndarray:
        if 150 in numbers:
            raise ValueError("150 is damaged")
        return X[numbers]

    with pytest.raises(ValueError, match="150 is damaged"):
        Examples(200, read).held()
