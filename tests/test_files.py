import re

import numpy as np
import pytest

from vae_jax.data import load, whole


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (50, 6, 4)).astype(np.uint8)


def test_npy_and_npz(tmp_path, images) -> None:
    labels = np.arange(50) % 3
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", images=images, labels=labels)
    a, b = load(str(tmp_path / "a.npy")), load(str(tmp_path / "b.npz"))
    assert a.shape == b.shape == (6, 4, 1)
    assert (a.levels, a.train.label) == (255, None)
    assert [len(part.x) for part in (b.train, b.validation, b.test)] == [36, 4, 10]
    np.testing.assert_array_equal(whole(str(tmp_path / "b.npz")).train.label, labels)


def test_a_test_split_of_ones_own(tmp_path, images) -> None:
    np.savez(tmp_path / "c.npz", x_train=images, y_train=np.zeros(50, int), x_test=images[:7], y_test=np.ones(7, int))
    data = load(str(tmp_path / "c.npz"), validation_size=5)
    assert [len(part.x) for part in (data.train, data.validation, data.test)] == [45, 5, 7]
    np.testing.assert_array_equal(data.test.x[..., 0], images[:7])
    assert len(whole(str(tmp_path / "c.npz")).train.x) == 57


def test_bits_booleans_and_real_numbers(tmp_path) -> None:
    np.save(tmp_path / "bits.npy", np.eye(20, dtype=bool))
    np.save(tmp_path / "real.npy", np.random.default_rng(0).standard_normal((20, 3)))
    bits, real = load(str(tmp_path / "bits.npy")), load(str(tmp_path / "real.npy"))
    assert bits.levels == 1
    assert bits.is_binary
    assert real.levels is None
    assert real.train.x.dtype == np.float32


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.ones((3, 2))}, "found the arrays ['pictures'], but none named x, images"),
        ({"x": np.array([[1.0, np.nan]] * 9)}, "9 of 9 examples hold NaN or infinite values, the first in row 0"),
        ({"x": np.ones((0, 2))}, "holds no examples"),
        ({"x": np.ones(4)}, "must be numbers of shape [n, …], got float64 of shape (4,)"),
        ({"x": np.full((4, 2), 300)}, "integers must be counts 0..255, got 300..300"),
        ({"x": np.ones((4, 2)), "label": np.ones(3)}, "labels must have shape (4,), got (3,)"),
        ({"x": np.array([["a", "b"]])}, "must be numbers"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, arrays, message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load(str(tmp_path / "bad.npz"))
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no data file .*nothing.npz"):
        load(str(tmp_path / "nothing.npz"))
