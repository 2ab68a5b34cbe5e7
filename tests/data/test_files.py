import re
from pathlib import Path

import numpy as np
import pytest

from vae_jax.data import Reading, load, whole
from vae_jax.data.dataset import own_test_order


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
    # Shuffled: one's own may be sorted, and a part of it may be measured.
    order = own_test_order(7, data.seed)
    assert sorted(order) == [*range(7)] != list(order)
    np.testing.assert_array_equal(data.test.x[..., 0], images[:7][order])
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
        ({"x": np.full((4, 2), 300)}, "holds counts up to 300. Say the largest that there can be: --levels 300"),
        ({"x": np.full((4, 2), -3)}, "holds integers -3..-3, and a count is never negative"),
        ({"x": np.full((4, 2), 2**31)}, "holds counts up to 2147483648; the largest possible is 2147483647"),
        ({"x": np.ones((4, 2)), "label": np.ones(3)}, "labels must have shape (4,), got (3,)"),
        ({"x": np.array([["a", "b"]])}, "must be numbers"),
        ({"x": np.ones((4, 2)), "label": np.full(4, 0.5)}, "labels must be integers or strings, got float64"),
        ({"x": np.ones((4, 2)), "label_test": np.ones(4)}, "holds label_test, but no x_test that it could belong to"),
        (
            {"x": np.ones((4, 2)), "factors": np.ones(4)},
            "factors must be numbers of shape (4, f), got float64",
        ),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, arrays, message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        load(str(tmp_path / "bad.npz"))
    assert "\n" not in str(caught.value)


def test_a_test_split_of_another_kind_is_refused(tmp_path, images) -> None:
    for x_test in (images[:7, :4], images[:7] / 255.0):
        np.savez(tmp_path / "d.npz", x_train=images, x_test=x_test)
        with pytest.raises(ValueError, match="x_test must be of the same kind as the training examples, uint8"):
            load(str(tmp_path / "d.npz"))
    np.savez(tmp_path / "e.npz", x_train=images // 255, x_test=images)
    assert load(str(tmp_path / "e.npz")).levels == 255


def test_real_numbers_that_are_bits_are_bits(tmp_path) -> None:
    np.save(tmp_path / "bits.npy", np.eye(20, 6))
    assert load(str(tmp_path / "bits.npy"), binarisation="dynamic").levels == 1


def test_levels_of_counts(tmp_path, images) -> None:
    np.save(tmp_path / "counts.npy", images % 17)
    assert load(str(tmp_path / "counts.npy")).levels == 255
    assert load(str(tmp_path / "counts.npy"), Reading(levels=16)).protocol()["levels"] == 16
    with pytest.raises(ValueError, match="--levels 5 does not fit .* counts up to 16"):
        load(str(tmp_path / "counts.npy"), Reading(levels=5))
    np.save(tmp_path / "real.npy", images / 255.0)
    with pytest.raises(ValueError, match="--levels 5 does not fit .* real numbers"):
        load(str(tmp_path / "real.npy"), Reading(levels=5))


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"garbage"])
def test_damaged_files(tmp_path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a .np. file of numbers"):
        load(str(tmp_path / name))


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="no data file .*nothing.npz"):
        load(str(tmp_path / "nothing.npz"))


@pytest.mark.parametrize("columns", [(), (3,)])
def test_conditions_stay_beside_their_examples(tmp_path, columns: tuple[int, ...]) -> None:
    x = np.arange(40, dtype=np.float32)[:, None]
    condition = np.broadcast_to(10.0 * x[:, 0].reshape(-1, *(1 for _ in columns)), (40, *columns))
    np.savez(tmp_path / "data.npz", x=x, condition=condition, x_test=x[:5], condition_test=condition[:5])
    data = load(str(tmp_path / "data.npz"))
    for split in (data.train, data.validation, data.test):
        assert split.condition.shape == (len(split.x), 1 if columns == () else 3)
        np.testing.assert_array_equal(split.condition[:, 0], 10.0 * split.x[:, 0])
    assert whole(str(tmp_path / "data.npz")).train.condition.shape[0] == 45


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (np.zeros(7), r"condition must be numbers of shape \(8,\) or \(8, c\), got float64 of shape \(7,\)"),
        (np.array(["a"] * 8), r"condition must be numbers .* got <U1"),
        (np.full((8, 2), np.nan), "condition holds NaN or infinite values"),
    ],
)
def test_a_condition_that_does_not_fit_is_refused(tmp_path, condition, message: str) -> None:
    np.savez(tmp_path / "data.npz", x=np.zeros((8, 2)), condition=condition)
    with pytest.raises(ValueError, match=message):
        load(str(tmp_path / "data.npz"))


def test_factors_of_a_file_must_fit(tmp_path: Path) -> None:
    factors = np.tile(np.indices((3, 4)).reshape(2, -1).T, (30, 1)).astype(np.int32)
    for wrong in (factors[:-1], factors[:, 0], factors.astype(str)):
        np.savez(tmp_path / "wrong.npz", x=factors.astype(np.float32), factors=wrong)
        with pytest.raises(ValueError, match=r"factors must be numbers of shape \(360, f\)"):
            load(str(tmp_path / "wrong.npz"))
