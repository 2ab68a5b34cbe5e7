import numpy as np
import pytest

from vae_jax.data import Reading, load
from vae_jax.data.look import check_varies, faults

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


def test_examples_that_are_all_the_same_are_refused(tmp_path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((40, 8, 8), np.uint8))
    with pytest.raises(ValueError, match="all 29 training examples of .* are the same"):
        check_varies(load(str(tmp_path / "x.npy")))
    check_varies(load("digits"))
