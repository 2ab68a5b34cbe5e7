import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

from tests.runs import changed, experiment, trained
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.data import Dataset, whole
from vae_jax.data.rows import Rows
from vae_jax.data.table import write_table
from vae_jax.evaluate.batched import encode_dataset, map_batches
from vae_jax.languages.grammar import load_grammar
from vae_jax.measure.codes import mean_codes
from vae_jax.measure.subject import subject_of
from vae_jax.report.arrays import _as_columns, _layers, _save_grid, examples_like, write_codes, write_samples
from vae_jax.train.run import create, open_run


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


def test_samples_are_decoded_in_batches_and_are_those_of_all_at_once(digits, tmp_path, seen_at_once) -> None:
    subject = subject_of(*digits)
    arrays = np.load(write_samples(subject, count=250, seed=0, out=tmp_path / "s.npz")[0])
    assert seen_at_once == [100, 100, 50]
    z_key, x_key = jax.random.split(jax.random.key(0))
    z = subject.density.prior(subject.params).sample(z_key, (250,))
    np.testing.assert_array_equal(arrays["z"], z)

    def decode(z: Any, key: Any) -> tuple[Any, Any]:
        decoded = subject.density.decode(subject.params, z)
        return decoded.sample(key), decoded.mean

    x, mean = jax.jit(jax.vmap(decode))(z, jax.random.split(x_key, 250))
    np.testing.assert_allclose(arrays["mean"], mean, rtol=1e-4, atol=1e-6)
    # A bit may turn where its probability is rounded otherwise.
    assert (arrays["x"] != np.asarray(x)).sum() <= 2


def test_variations_are_decoded_in_batches(digits, tmp_path, seen_at_once) -> None:
    arrays = np.load(write_samples(subject_of(*digits), count=130, seed=0, out=tmp_path / "v.npz", like=4)[0])
    assert seen_at_once == [100, 30]
    assert arrays["x"].shape == (130, 8, 8, 1)


@pytest.mark.parametrize(("count", "told"), [(360, ""), (10_000, "\nthe first 360 of 10000")])
def test_a_picture_of_many_samples_shows_the_first_and_says_so(count, told, digits, tmp_path, monkeypatch) -> None:
    drawn = []

    def show(grid: np.ndarray, *, title: str, photographs: bool) -> None:
        drawn.append((grid.shape, title))

    monkeypatch.setattr("vae_jax.report.arrays.show_images", show)
    monkeypatch.setattr("vae_jax.report.arrays.save_figure", lambda path, figure: path)
    _save_grid(tmp_path / "s.npz", subject_of(*digits), np.zeros((count, 8, 8, 1)), title="samples")
    assert drawn == [((30, 12, 8, 8, 1), f"samples{told}")]


def test_where_there_is_no_mean_none_is_written(tmp_path) -> None:
    config = changed(experiment(epochs=1), "model", autoregressive_layers=1)
    paths = write_samples(subject_of(*trained(tmp_path / "run", config)), count=24, seed=0, out=tmp_path / "s.npz")
    assert [path.suffix for path in paths] == [".npz", ".png"]
    assert set(np.load(paths[0])) == {"x", "z"}


def test_variations_are_around_one_example(digits, tmp_path) -> None:
    subject = subject_of(*digits)
    paths = write_samples(subject, count=23, seed=0, out=tmp_path / "v.npz", like=4, spread=2.0)
    assert [path.suffix for path in paths] == [".npz", ".png"]
    arrays = np.load(paths[0])
    np.testing.assert_array_equal(arrays["like"], subject.examples[4])
    q = subject.coder.encode(subject.params, subject.examples[4])
    away = (arrays["z"] - np.asarray(q.mean)) / np.asarray(q.stddev)
    assert away.std() == pytest.approx(2.0, rel=0.3)
    with pytest.raises(RequestError, match=r"--like is the number of a test example, 0..63, got 400"):
        write_samples(subject, count=3, seed=0, out=None, like=400)
    with pytest.raises(RequestError, match="--like 4 --spread 0.0: variations: spread must be greater than 0"):
        write_samples(subject, count=3, seed=0, out=None, like=4, spread=0.0)


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


@pytest.mark.parametrize(
    "likelihood", ["binomial", *(pytest.param(name, marks=pytest.mark.slow) for name in ("poisson", "categorical"))]
)
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
        ("bright", "bright.npy holds counts 200..200, and the model is of counts 0..16"),
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
    with pytest.raises(ValueError, match="real.npy holds real numbers, and the model is of counts 0..16"):
        encode(str(tmp_path / "real.npy"), "c.npz")


def test_a_model_of_bits_is_given_bits_also_where_its_own_were_drawn_once(tmp_path) -> None:
    run = create(changed(experiment(), "data", binarisation="static"), tmp_path / "run")
    subject = subject_of(run, run.initial())
    source = examples_like(subject, "digits", None)
    seen = np.asarray(subject.seen(source, source.train))
    assert set(np.unique(seen)) == {0.0, 1.0}
    np.testing.assert_allclose(seen.mean(), source.train.x.mean() / 16, atol=0.01)


# What a model is trained on, by its likelihood and binarisation.
_PIXELS = np.random.default_rng(0).integers(0, 256, (60, 4, 4)).astype(np.uint8)
TRAINED_ON = {
    "bits of pixels, dynamic": ("bernoulli", "dynamic", _PIXELS),
    "bits of pixels, static": ("bernoulli", "static", _PIXELS),
    "bits of shares": ("bernoulli", "dynamic", (_PIXELS / 255).astype(np.float32)),
    "bits": ("bernoulli", "none", _PIXELS > 99),
    "normal, pixels": ("normal", "none", _PIXELS),
    "normal, real numbers": ("normal", "none", _PIXELS / 100),
    "student_t": ("student_t", "none", _PIXELS / 100 - 1),
    "intensities": ("continuous_bernoulli", "none", _PIXELS / 255),
    "continuous_bernoulli, pixels": ("continuous_bernoulli", "none", _PIXELS),
    "binomial": ("binomial", "none", _PIXELS),
    "categorical": ("categorical", "none", _PIXELS),
    "logistic": ("logistic", "none", _PIXELS.astype(float)),
    "logistic_mixture": ("logistic_mixture", "none", _PIXELS),
    "poisson": ("poisson", "none", 50 * _PIXELS.astype(int)),
    "negative_binomial": ("negative_binomial", "none", (50.0 * _PIXELS).astype(np.float32)),
}


@pytest.mark.filterwarnings("ignore:.*nothing but 0 and 1, as real numbers")
@pytest.mark.parametrize(
    ("name", "ending"), [*((name, "npz") for name in TRAINED_ON), ("bits", "npy"), ("poisson", "npy")]
)
def test_a_code_does_not_depend_on_what_else_is_in_the_file(name: str, ending: str, tmp_path) -> None:
    likelihood, binarisation, x = TRAINED_ON[name]
    config = changed(experiment(), "data", dataset=str(tmp_path / f"x.{ending}"), stand_in=False)
    config = changed(changed(config, "data", binarisation=binarisation), "model", likelihood=likelihood)

    def save(name: str, x: np.ndarray) -> str:
        path = tmp_path / f"{name}.{ending}"
        np.save(path, x) if ending == "npy" else np.savez(path, x=x)
        return str(path)

    save("x", x)
    run = create(config, tmp_path / "run")
    subject = subject_of(run, run.initial())
    # An example that is blank but for one element, and one that is nothing but blank.
    faint = np.zeros_like(x[:1])
    faint[0, 1, 1] = True if x.dtype == bool else 1
    codes = {}
    for example in ("faint", "blank"):
        one = faint if example == "faint" else np.zeros_like(faint)
        for where, rows in {"alone": one, "first": np.r_[one, x[:3]], "last": np.r_[x[:3], one]}.items():
            path = save(f"{example}-{where}", rows)
            arrays = np.load(write_codes(subject, data=path, data_dir=None, out=tmp_path / "c.npz"))
            codes[where] = arrays["mean"][-1 if where == "last" else 0]
        np.testing.assert_allclose(codes["alone"], codes["first"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(codes["alone"], codes["last"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bits", "real numbers"])
def test_data_that_stay_in_their_file_are_encoded_a_batch_at_a_time(kind: str, tmp_path, monkeypatch) -> None:
    x = np.random.default_rng(0).integers(0, 256, (230, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x if kind == "bits" else (x / 255).astype(np.float32))
    config = changed(experiment(batch_size=8), "data", dataset=str(tmp_path / "x.npy"), stand_in=False)
    if kind == "real numbers":
        config = changed(changed(config, "data", binarisation="none"), "model", likelihood="normal")
    run = create(config, tmp_path / "run")
    subject = subject_of(run, run.initial())
    source = examples_like(subject, str(tmp_path / "x.npy"), None)
    q = encode_dataset(subject.coder, subject.params, subject.seen(source, source.train))
    sizes = []

    def prepare(dataset: Dataset, key: Any, batch: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(batch["x"]))
        return prepare_alone(dataset, key, batch)

    def read(rows: Rows, *_: Any, **__: Any) -> np.ndarray:
        raise AssertionError(f"all {len(rows)} rows are read at once")

    prepare_alone = Dataset.prepare_alone
    monkeypatch.setattr(Dataset, "prepare_alone", prepare)
    monkeypatch.setattr(Rows, "__array__", read)
    monkeypatch.setattr("vae_jax.data.rows._MOST_SHARE", 0.0)
    monkeypatch.setattr("vae_jax.data.rows._BLOCK_BYTES", 50 * x[0].size)
    arrays = np.load(write_codes(subject, data=str(tmp_path / "x.npy"), data_dir=None, out=tmp_path / "c.npz"))
    assert sizes == [100, 100, 30]
    for name, expected in (("mean", q.mean), ("stddev", q.stddev)):
        np.testing.assert_allclose(arrays[name], expected, rtol=1e-5, atol=1e-6)


def test_a_conditional_model_encodes_classes_that_it_knows(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", x=_PIXELS, label=np.array(["ape", "bee"] * 30))
    config = changed(experiment(), "data", dataset=str(tmp_path / "x.npz"), stand_in=False)
    run = create(dataclasses.replace(config, system="conditional"), tmp_path / "run")
    subject = subject_of(run, run.initial())
    codes = {}
    for name, label in {"known": ["bee", "ape"], "alone": ["bee"], "new": ["bee", "cow"], "none": ["bee", ""]}.items():
        np.savez(tmp_path / f"{name}.npz", x=_PIXELS[: len(label)], label=np.array(label))
        options = {"data": str(tmp_path / f"{name}.npz"), "data_dir": None, "out": tmp_path / f"{name}-codes.npz"}
        if name in ("new", "none"):
            with pytest.raises(RequestError, match="but 1 of 2 .*, row 1 the first, have none that it knows. Leave"):
                write_codes(subject, **options)
        else:
            codes[name] = np.load(write_codes(subject, **options))
    # A class keeps its number, whatever other classes the file holds.
    np.testing.assert_allclose(codes["alone"]["mean"][0], codes["known"]["mean"][0], rtol=1e-6)
    assert codes["known"]["label"].tolist() == ["bee", "ape"]


def test_names_are_no_classes_of_a_model_that_was_told_numbers(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", x=_PIXELS, label=np.arange(60) % 2)
    config = changed(experiment(), "data", dataset=str(tmp_path / "x.npz"), stand_in=False)
    run = create(dataclasses.replace(config, system="conditional"), tmp_path / "run")
    for label in (["bee", "ape"], [1_000_000, 2_000_000]):
        np.savez(tmp_path / "new.npz", x=_PIXELS[:2], label=np.array(label))
        with pytest.raises(RequestError, match="but 2 of 2 .*, row 0 the first, have none that it knows"):
            write_codes(subject_of(run, run.initial()), data=str(tmp_path / "new.npz"), data_dir=None, out=None)


def test_numbers_of_another_scale_are_told(tmp_path) -> None:
    np.save(tmp_path / "x.npy", _PIXELS / 255)
    config = changed(experiment("curve"), "data", dataset=str(tmp_path / "x.npy"), stand_in=False)
    run = create(config, tmp_path / "run")
    np.save(tmp_path / "bright.npy", _PIXELS[:5].astype(float))
    with pytest.warns(UserWarning, match=r"hold values .*, but .* was trained on values 0..1: give them the scale"):
        write_codes(subject_of(run, run.initial()), data=str(tmp_path / "bright.npy"), data_dir=None, out=None)


def test_samples_of_a_run_on_strings_are_strings_of_its_language(strings_run) -> None:
    paths = write_samples(subject_of(*strings_run), count=5, seed=0, out=None)
    written = paths[1].read_text().splitlines()
    assert len(written) == 5
    assert all(load_grammar("equations").accepts(string) for string in written)


@pytest.mark.parametrize("density", ["mixture", pytest.param("normal", marks=pytest.mark.slow)])
def test_an_autoencoder_is_sampled_by_a_density_of_its_codes(density, tmp_path) -> None:
    config = dataclasses.replace(experiment(), system="autoencoder")
    config = changed(config, "model", posterior="point")
    subject = subject_of(*trained(tmp_path / "run", config))
    with pytest.raises(RequestError, match=r"vae-jax sample .* --density mixture"):
        write_samples(subject, count=4, seed=0, out=None)
    (path, _) = write_samples(subject, count=200, seed=0, out=None, density=density)
    z = np.load(path)["z"]
    codes = mean_codes(subject, subject.prepared(subject.run.dataset, subject.run.dataset.train))
    np.testing.assert_allclose(z.mean(0), codes.mean(0), atol=0.4 * codes.std())
    np.testing.assert_allclose(z.std(0), codes.std(0), rtol=0.3)


def test_a_density_of_vectors_is_none_of_directions(tmp_path) -> None:
    run = create(changed(experiment(), "model", posterior="sphere"), tmp_path / "run")
    with pytest.raises(RequestError, match="codes that are vectors, of any length"):
        write_samples(subject_of(run, run.initial()), count=4, seed=0, out=None, density="normal")


def test_columns_of_another_table_are_found_by_their_names(tmp_path) -> None:
    random = np.random.default_rng(0)
    table = {name: (3.0 * random.normal(size=60) + shift).tolist() for name, shift in (("a", 0), ("b", 2), ("c", 4))}
    write_table(tmp_path / "t.csv", table)
    write_table(tmp_path / "turned.csv", {name: table[name] for name in ("c", "a", "b")})
    config = changed(experiment(str(tmp_path / "t.csv"), batch_size=8), "data", stand_in=False, standardise=True)
    run = create(config, tmp_path / "run")
    for of in (subject_of(run, run.initial()), subject_of(open_run(run.directory), run.initial())):
        found = [examples_like(of, str(tmp_path / name), None).train.x for name in ("t.csv", "turned.csv")]
        np.testing.assert_array_equal(*found)


def test_a_density_and_a_condition_exclude_each_other(digits) -> None:
    with pytest.raises(RequestError, match="--density is for models of x alone, without --condition"):
        write_samples(subject_of(*digits), count=1, seed=0, out=None, density="normal", condition=["3"])


def test_codes_of_many_layers_have_a_column_each() -> None:
    arrays = _layers("mean", tuple(np.full((2, 32), float(layer)) for layer in range(1, 13)))
    columns = _as_columns(arrays)
    assert len(columns) == 12 * 32
    assert columns["mean1_10"] == [1.0, 1.0]
    assert columns["mean11_0"] == [11.0, 11.0]


def test_samples_of_a_density_of_integers_stay_real_numbers(tmp_path) -> None:
    run, state = trained(tmp_path / "run", experiment("curve", epochs=1))
    counted = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, levels=9, as_counts=True))
    x = np.load(write_samples(subject_of(counted, state), count=50, seed=0, out=None)[0])["x"]
    assert not np.array_equal(x, np.round(x))


def test_images_of_another_folder_are_grey_or_coloured_as_the_run_has_them(tmp_path) -> None:
    random = np.random.default_rng(0)
    for folder, colours in (("own", 3), ("grey", 1)):
        (tmp_path / folder).mkdir()
        for i in range(30):
            pixels = random.integers(0, 256, (8, 8, colours), dtype=np.uint8)
            Image.fromarray(pixels if colours == 3 else pixels[..., 0]).save(tmp_path / folder / f"{i}.png")
    for own, other, shape in (("own", "grey", (8, 8, 3)), ("grey", "own", (8, 8, 1))):
        config = changed(experiment(f"{tmp_path / own}/", batch_size=8), "data", stand_in=False)
        run = create(changed(config, "model", likelihood="normal"), tmp_path / f"run-{own}")
        assert examples_like(subject_of(run, run.initial()), f"{tmp_path / other}/", None).shape == shape


def test_a_condition_of_another_width_is_refused(tmp_path) -> None:
    random = np.random.default_rng(0)
    for name, width in (("x", 2), ("other", 3)):
        np.savez(tmp_path / f"{name}.npz", x=random.normal(size=(40, 4)), condition=random.normal(size=(40, width)))
    config = changed(experiment(str(tmp_path / "x.npz"), batch_size=8), "data", stand_in=False)
    run = create(dataclasses.replace(config, system="conditional"), tmp_path / "run")
    with pytest.raises(RequestError, match=r"is told a condition of shape \(2,\), but those of .* have \(3,\)"):
        examples_like(subject_of(run, run.initial()), str(tmp_path / "other.npz"), None)
