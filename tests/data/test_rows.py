from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.runs import assert_equal_states, changed, experiment, trained
from vae_jax.core.errors import ConfigError
from vae_jax.data import Square, load, rows
from vae_jax.data.load import whole_like
from vae_jax.data.look import check_varies, faults
from vae_jax.data.own import Reading
from vae_jax.data.rows import Rows, blocks, first_rows, joined, taken
from vae_jax.data.units import units_of
from vae_jax.measure.evaluation import evaluate, first_measurements
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.train.outline import check_same
from vae_jax.train.run import load_state, open_run
from vae_jax.train.sweep import create_sweep

X = np.random.default_rng(0).integers(0, 256, (200, 4, 4), dtype=np.uint8)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images in a file that is too large for the memory, of which seven rows are read at once."""
    np.save(tmp_path / "x.npy", X)
    monkeypatch.setattr(rows, "_MOST_SHARE", 0.0)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 7 * X[0].size)
    return tmp_path / "x.npy"


def test_rows_are_like_the_array() -> None:
    order = np.array([3, 1, 5, 5, 0])
    some, array = Rows(X, order), X[order]
    assert (some.shape, some.dtype, some.ndim, some.size, some.nbytes) == (array.shape, X.dtype, 3, 80, 80)
    assert len(some) == 5
    for index in (2, slice(1, 4), np.array([4, 0]), np.array([[0, 1], [2, 3]])):
        np.testing.assert_array_equal(some[index], array[index])
        assert type(some[index]) is np.ndarray
    np.testing.assert_array_equal(np.asarray(some), array)
    np.testing.assert_array_equal(taken(some, slice(1, 3))[:], array[1:3])
    assert isinstance(taken(some, slice(1, 3)), Rows)
    np.testing.assert_array_equal(taken(array, [1, 2]), array[1:3])
    both = joined(taken(some, slice(1, 3)), taken(some, slice(0, 2)))
    assert isinstance(both, Rows)
    np.testing.assert_array_equal(both[:], array[[1, 2, 0, 1]])
    np.testing.assert_array_equal(joined(some, Rows(X[:2].copy())), np.concatenate([array, X[:2]]))
    assert some.astype(np.float32)[0].dtype == np.float32
    assert (some.min(), some.max()) == (array.min(), array.max())
    np.testing.assert_allclose(some.mean(axis=0, dtype=np.float64), array.mean(axis=0))


def test_blocks_are_the_whole_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 3 * X[0].size)
    parts = list(blocks(Rows(X)))
    assert {len(part) for part in parts} == {3, 200 % 3}
    np.testing.assert_array_equal(np.concatenate(parts), X)
    assert [part.shape for part in blocks(X[:0])] == [(0, 4, 4)]
    assert len(first_rows(Rows(X))) == 3
    assert first_rows(X) is X


def test_units_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(1).normal(3.0, [1.0, 50.0, 0.0], (1000, 3))
    x[::7, 1] = np.nan
    whole = units_of(x)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 1000)
    for one, other in zip(units_of(Rows(x)), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_training_examples_stay_in_the_file_and_the_others_do_not(file: Path) -> None:
    dataset = load(str(file), Reading("bits"), binarisation="dynamic")
    assert isinstance(dataset.train.x, Rows)
    assert isinstance(dataset.train.x.stored, np.memmap) or isinstance(dataset.train.x.stored.base, np.memmap)
    assert all(isinstance(split.x, np.ndarray) for split in (dataset.validation, dataset.test))
    assert dataset.shape == (4, 4, 1)
    np.testing.assert_allclose(dataset.mean(), dataset.train.x[:].mean(axis=0) / 255, rtol=1e-6)
    assert not list(faults(dataset))
    check_varies(dataset)


def test_what_needs_all_of_them_at_once_is_refused(file: Path) -> None:
    with pytest.raises(ValueError, match=r"do not fit the memory\. Use --binarisation dynamic"):
        load(str(file), Reading("bits"), binarisation="static")


def test_they_are_scaled_as_they_are_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = Reading("bits", square=Square(2, None))
    left = load(str(file), reading)
    assert isinstance(left.train.x, Rows)
    monkeypatch.setattr(rows, "_MOST_SHARE", 1.0)
    read = load(str(file), reading)
    assert left.shape == (2, 2, 1)
    for one, other in zip(left.splits, read.splits, strict=True):
        np.testing.assert_array_equal(np.asarray(one.x), other.x)


def test_a_sweep_of_them_is_refused(file: Path, tmp_path: Path) -> None:
    config = changed(experiment(epochs=1), "data", dataset=str(file), stand_in=False)
    with pytest.raises(ConfigError, match="does not fit the memory, .* train one run after the other"):
        create_sweep(config, {("optimizer", "learning_rate"): (1e-3, 3e-3)}, 1, tmp_path / "sweep")


def test_all_of_them_are_encoded_as_the_array_is(file: Path, tmp_path: Path) -> None:
    subject = subject_of(
        *trained(tmp_path / "run", changed(experiment(epochs=1), "data", dataset=str(file), stand_in=False))
    )
    whole = whole_like(str(file), subject.run.dataset, Reading("bits"))
    assert isinstance(whole.train.x, Rows)
    x = subject.seen(subject.run.dataset, whole.train)
    assert x.shape == (200, 4, 4, 1)
    np.testing.assert_array_equal(x[:20], subject.seen(subject.run.dataset, whole.train.take(slice(20))))


def test_copies_and_values_that_are_not_finite_are_found(file: Path) -> None:
    np.save(file, np.tile(X[:10], (20, 1, 1)))
    found = list(faults(load(str(file), Reading("bits"))))
    assert len(found) == 2
    assert all("are training examples too" in fault for fault in found)
    np.save(file, np.tile(X[:1], (200, 1, 1)))
    with pytest.raises(ValueError, match="are the same: there is nothing to learn"):
        check_varies(load(str(file), Reading("bits")))
    real = X.astype(np.float32)
    real[[31, 150]] = np.nan
    np.save(file, real)
    with pytest.raises(ValueError, match="2 of 200 examples hold NaN or infinite values, the first in row 31"):
        load(str(file), Reading("reals"))


@pytest.mark.parametrize("decoded", [False, True])
def test_a_run_is_the_one_whose_data_are_in_memory(decoded: bool, file: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("grain")
    if decoded:
        file = tmp_path / "images"
        file.mkdir()
        for i, x in enumerate(X):
            Image.fromarray(x).save(file / f"{i}.png")
    config = changed(experiment(epochs=3), "data", dataset=str(file), stand_in=False)
    run, state = trained(tmp_path / "left", config)
    check_same(run.directory, run.dataset)
    found = evaluate(subject_of(run, state), first_measurements(run.config), Options(0))
    assert np.isfinite(found["log_marginal"])

    monkeypatch.setattr(rows, "_MOST_SHARE", 1.0)
    held, in_memory = trained(tmp_path / "held", changed(config, "compute", stream=True))
    assert isinstance(held.dataset.train.x, np.ndarray)
    assert_equal_states(state.train, in_memory.train)
    # The digests of both are the same, so either opens the other's data.
    check_same(run.directory, held.dataset)
    assert load_state(open_run(run.directory)).train.step == state.train.step
