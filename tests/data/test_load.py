import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from vae_jax.data import Reading, Square, load, stand_in, whole


def test_digits_are_the_counts_of_scikit_learn() -> None:
    data = load("digits")
    assert data.shape == (8, 8, 1)
    assert data.train.x.dtype == np.uint8
    assert data.train.x.max() == data.levels == 16
    assert sorted(set(data.test.label.tolist())) == list(range(10))
    assert len(data.train.x) + len(data.validation.x) + len(data.test.x) == 1797
    assert float(data.intensities(data.train.x).max()) == 1.0


def test_the_curve_is_one_dimensional_with_noise() -> None:
    x = load("curve").train.x
    residual = x[:, 1] - 0.6 * np.sin(np.pi * x[:, 0])
    # Noise of 0.05 in both coordinates, the first one entering through the slope of the curve.
    assert 0.05 < residual.std() < 0.12


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(ValueError, match="unknown dataset 'digit'. Did you mean digits"):
        load("digit")
    with pytest.raises(ValueError, match="unknown dataset 'digit'. Did you mean digits"):
        stand_in("digit", binarisation="none")


@pytest.mark.parametrize("has_files", [True, False])
def test_whole_keeps_the_order(has_files: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_breast_cancer, load_digits

    if not has_files:
        # A version of scikit-learn that has them elsewhere, or none.
        monkeypatch.setattr(Path, "is_file", lambda path: False)
    digits, cancer = whole("digits").train, whole("cancer").train
    np.testing.assert_array_equal(digits.x[..., 0], load_digits().images)
    np.testing.assert_array_equal(digits.label, load_digits().target)
    np.testing.assert_array_equal(cancer.x, load_breast_cancer().data.astype(np.float32))
    np.testing.assert_array_equal(cancer.label, load_breast_cancer().target)
    assert len(whole("digits").test.x) == 0


def test_the_digits_do_not_wait_for_scikit_learn() -> None:
    asked = "import sys; from vae_jax.data import load; load('digits'); print('sklearn' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]


@pytest.mark.parametrize(
    ("name", "shape"), [("digits", (8, 8, 1)), ("mnist", (28, 28, 1)), ("frey_faces", (28, 20, 1)), ("curve", (2,))]
)
def test_stand_ins_need_no_files(name: str, shape: tuple[int, ...]) -> None:
    data = stand_in(name, binarisation="none")
    assert data.shape == shape
    assert len(data.train.x) <= 512
    assert "stand-in" in data.name
    assert np.isfinite(data.prepare(jax.random.key(0), data.test.batch())["x"]).all()


def test_a_stand_in_has_the_size_and_not_the_crop() -> None:
    assert stand_in("celeb_a", Reading(square=Square(64, crop=148)), binarisation="none").shape == (64, 64, 1)


def test_the_faces_are_read_from_their_file(shared_data, tmp_path) -> None:
    data = load("frey_faces", data_dir=shared_data("frey_faces.npz").parent)
    assert data.shape == (28, 20, 1)
    assert (len(data.train.x) + len(data.validation.x), len(data.test.x)) == (1572, 393)
    assert data.levels == 255
    # The film is shuffled before it is cut: neighbouring frames are nearly the same picture.
    assert np.abs(np.diff(data.train.x[:200].astype(float), axis=0)).mean() > 10
    with pytest.raises(FileNotFoundError, match="no file .*frey_faces.npz. frey_faces needs an .npz with `images`"):
        load("frey_faces", data_dir=tmp_path)


def test_sprites_know_their_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    # What they look like is tested beside them.
    blank = np.zeros((92160, 1, 1, 1), np.uint8)
    monkeypatch.setattr(sys.modules["vae_jax.data.load"], "pictures", lambda values, sizes, side: blank)
    data = whole("sprites")
    assert data.train.factors is not None
    assert data.train.factors.shape == (92160, 5)
    np.testing.assert_array_equal(data.train.factors[:, 0], data.train.label)
