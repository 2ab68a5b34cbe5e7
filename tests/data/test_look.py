import numpy as np
import pytest

from vae_jax.data import Reading, load
from vae_jax.data.look import check_varies, faults
from vae_jax.data.table import write_table

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (RANDOM.normal(size=(40, 3)), []),
        (RANDOM.normal(size=(40, 3)) * [1.0, 0.0, 1.0], ["1 of 3 elements of", "are the same in every example: 1."]),
        (RANDOM.normal(size=(40, 3)) * [1.0, 1e-3, 1e3], ["standard deviations up to"]),
        (np.repeat(RANDOM.normal(size=(2, 3)), 20, axis=0), ["test examples", "are training examples too"]),
        (RANDOM.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8), ["colours first", "x.transpose(0, 2, 3, 1)"]),
    ],
)
def test_what_is_odd_is_said_in_a_sentence(tmp_path, x: np.ndarray, said: list[str]) -> None:
    np.save(tmp_path / "x.npy", x)
    found = " ".join(faults(load(str(tmp_path / "x.npy"), Reading("reals" if x.dtype.kind == "f" else None))))
    assert all(words in found for words in said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize("constant", [[1], [1, 4], list(range(7))])
def test_what_is_said_of_elements_that_never_change_helps(constant: list[int], tmp_path) -> None:
    x, test = RANDOM.normal(size=(40, 9)), RANDOM.normal(size=(9, 9))
    x[:, constant] = 2.0
    np.savez(tmp_path / "x.npz", x=x, x_test=test)
    (found,) = faults(load(str(tmp_path / "x.npz"), Reading("reals")))
    advice = found.partition("Leave them out of every split: ")[2].removesuffix(".")
    taken, _, kept = advice.removesuffix(" of the training split").partition(", where kept = ")
    known = {"np": np, "kept": eval(kept, {"x": x}) if kept else None}
    without, of_test = (eval(taken, known | {"x": one}) for one in (x, test))
    assert without.shape[1] == of_test.shape[1] == 9 - len(constant)
    np.savez(tmp_path / "y.npz", x=without, x_test=of_test)
    assert list(faults(load(str(tmp_path / "y.npz"), Reading("reals")))) == []


def test_columns_that_never_change_are_named_and_left_out_of_the_file(tmp_path) -> None:
    columns = {"a": RANDOM.normal(size=40).tolist(), "b": [2.0] * 40, "c": RANDOM.normal(size=40).tolist()}
    write_table(tmp_path / "t.csv", columns)
    (found,) = faults(load(str(tmp_path / "t.csv"), Reading("reals")))
    assert found.endswith("are the same in every example: b. Leave these columns out of the file.")
    del columns["b"]
    write_table(tmp_path / "t.csv", columns)
    assert list(faults(load(str(tmp_path / "t.csv"), Reading("reals")))) == []


def test_what_is_said_of_repeated_examples_helps(tmp_path) -> None:
    x = np.repeat(RANDOM.normal(size=(40, 3)), 2, axis=0)
    np.save(tmp_path / "x.npy", x)
    found = " ".join(faults(load(str(tmp_path / "x.npy"), Reading("reals"))))
    assert "as by np.unique(x, axis=0), and of a split of your own those that the training split has" in found
    np.save(tmp_path / "x.npy", np.unique(x, axis=0))
    assert list(faults(load(str(tmp_path / "x.npy"), Reading("reals")))) == []


def test_examples_that_are_all_the_same_are_refused(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((40, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="all 29 training examples of .* are the same"):
        check_varies(load(str(tmp_path / "x.npy")))
    check_varies(load("digits"))
