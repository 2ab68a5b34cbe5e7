import dataclasses

import numpy as np
import pytest

from tests.runs import changed, experiment, trained
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.data import whole
from vae_jax.evaluate.batched import map_batches
from vae_jax.measure.subject import subject_of
from vae_jax.report.arrays import write_codes, write_samples


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits") / "run")


def test_samples(digits, tmp_path) -> None:
    run, state = digits
    paths = write_samples(subject_of(run, state), count=24, seed=0, out=tmp_path / "s.npz")
    assert [path.suffix for path in paths] == [".npz", ".png"]
    arrays = np.load(paths[0])
    assert arrays["x"].shape == arrays["mean"].shape == (24, 8, 8, 1)
    assert set(np.unique(arrays["x"])) <= {0.0, 1.0}
    with pytest.raises(ValueError, match="--count must be at least 1, got 0"):
        write_samples(subject_of(run, state), count=0, seed=0, out=None)
    with pytest.raises(RequestError, match=r"--out must end in .npz"):
        write_samples(subject_of(run, state), count=1, seed=0, out=tmp_path / "s.png")


def test_codes_keep_the_order_of_the_data(digits, tmp_path) -> None:
    run, state = digits
    path = write_codes(subject_of(run, state), data="digits", data_dir=None, out=None)
    arrays = np.load(path)
    assert arrays["mean"].shape == arrays["stddev"].shape == (1797, 2)
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    np.testing.assert_array_equal(arrays["label"], labels)
    # The same counts from a file of one's own are on the same scale.
    np.save(tmp_path / "mine.npy", images.reshape(-1, 8, 8).astype(np.uint8))
    again = np.load(
        write_codes(subject_of(run, state), data=str(tmp_path / "mine.npy"), data_dir=None, out=tmp_path / "c.npz")
    )
    np.testing.assert_array_equal(again["mean"], arrays["mean"])


def test_counts_are_encoded_as_the_run_sees_them(tmp_path) -> None:
    config = changed(changed(experiment(), "data", binarisation="none"), "model", likelihood="binomial")
    run, state = trained(tmp_path / "run", config)
    codes = np.load(write_codes(subject_of(run, state), data="digits", data_dir=None, out=None))["mean"]
    # In the order of the run's own split, which is shuffled.
    own = map_batches(lambda i, x: run.system.vae.encode(state.best_params, x).mean, subject_of(run, state).examples)
    rows = [int(np.flatnonzero((whole("digits").train.x == x).all(axis=(1, 2, 3)))[0]) for x in run.dataset.test.x[:5]]
    assert subject_of(run, state).examples.max() == 16
    np.testing.assert_allclose(codes[rows], own[:5], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("likelihood", ["binomial", "poisson", "categorical"])
def test_samples_of_counts_are_integers_in_the_file(likelihood: str, tmp_path) -> None:
    config = changed(changed(experiment(epochs=1), "data", binarisation="none"), "model", likelihood=likelihood)
    run, state = trained(tmp_path / "run", config)
    x = np.load(write_samples(subject_of(run, state), count=5, seed=0, out=None)[0])["x"]
    assert np.issubdtype(x.dtype, np.integer)
    assert x.max() > 1


def test_samples_of_a_conditional_model_have_conditions(tmp_path) -> None:
    run, state = trained(tmp_path / "run", dataclasses.replace(experiment(), system="conditional"))
    path, picture = write_samples(subject_of(run, state), count=12, seed=0, out=None)
    arrays = np.load(path)
    assert arrays["x"].shape == arrays["mean"].shape == (12, 8, 8, 1)
    np.testing.assert_array_equal(np.sort(arrays["condition"], axis=1)[:, -2:], np.tile([0.0, 1.0], (12, 1)))
    one = run.system.given(arrays["condition"][3]).decode(state.best_params, arrays["z"][3])
    np.testing.assert_allclose(arrays["mean"][3], one.mean, rtol=1e-4, atol=1e-6)
    assert picture.is_file()
    np.save(tmp_path / "mine.npy", np.zeros((5, 8, 8), np.uint8))
    with pytest.raises(ConfigError, match="is told the label of every example, but these have none: put `label`"):
        write_codes(subject_of(run, state), data=str(tmp_path / "mine.npy"), data_dir=None, out=tmp_path / "c.npz")


def test_data_that_do_not_fit_are_refused(digits, tmp_path) -> None:
    run, state = digits
    np.save(tmp_path / "large.npy", np.zeros((5, 9, 9), np.uint8))
    np.save(tmp_path / "bright.npy", np.full((5, 8, 8), 200, np.uint8))
    for name, message in (
        ("large", r"examples of shape \(8, 8, 1\), but .* have \(9, 9, 1\)"),
        ("bright", "--levels 16 does not fit .*bright.npy, which holds counts up to 200"),
    ):
        with pytest.raises(ValueError, match=message):
            write_codes(subject_of(run, state), data=str(tmp_path / f"{name}.npy"), data_dir=None, out=None)


@pytest.mark.parametrize("binarisation", ["static", "none"])
def test_own_files_are_on_the_scale_of_the_run(tmp_path, binarisation: str) -> None:
    from sklearn.datasets import load_digits

    config = changed(experiment(), "data", binarisation=binarisation)
    if binarisation == "none":
        config = changed(config, "model", likelihood="normal")
    run, state = trained(tmp_path / "run", config)
    np.save(tmp_path / "mine.npy", load_digits().images.astype(np.uint8))
    encode = lambda data, out: np.load(
        write_codes(subject_of(run, state), data=data, data_dir=None, out=tmp_path / out)
    )["mean"]
    expected, found = encode("digits", "a.npz"), encode(str(tmp_path / "mine.npy"), "b.npz")
    np.testing.assert_array_equal(found, expected)
    np.save(tmp_path / "real.npy", np.full((5, 8, 8), 0.3))
    with pytest.raises(RequestError, match="was trained on counts, but .* holds real numbers"):
        encode(str(tmp_path / "real.npy"), "c.npz")
