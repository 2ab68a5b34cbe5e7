"""A run without its data, and beside data that are not its own any more."""

import dataclasses
import sys

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import changed, experiment, trained
from vae_jax.config.files import load_config
from vae_jax.core.errors import RequestError
from vae_jax.measure.comparison import _data_of
from vae_jax.measure.subject import subject_of
from vae_jax.report.arrays import write_codes, write_samples
from vae_jax.report.rows import write_imputed
from vae_jax.train.outline import read_outline, write_outline
from vae_jax.train.run import create, load_state, open_model, open_run

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (60, 4, 4)).astype(np.uint8)
LABEL = np.array(["ape", "bee", "cat"])[np.arange(60) % 3]
# Systems that ask much of their data.
SYSTEMS = {
    "vae": {},
    "a VampPrior": {"prior": "vamp", "prior_components": 7, "estimator": "sampled"},
    "conditional": {"system": "conditional"},
    "m2": {"system": "m2", "labelled": 6, "label_batch": 6},
    "poisson": {"likelihood": "poisson", "binarisation": "none"},
    "bits": {"binarisation": "static"},
}


# One that is as it is, and one that looks at examples; the others run with `pytest -m slow`.
EACH_KIND = ("vae", "a VampPrior")


@pytest.mark.parametrize(
    "name", [name if name in EACH_KIND else pytest.param(name, marks=pytest.mark.slow) for name in SYSTEMS]
)
def test_a_model_opens_without_its_data(name: str, tmp_path) -> None:
    fields = SYSTEMS[name]
    np.savez(tmp_path / "x.npz", x=X, label=LABEL)
    config = dataclasses.replace(experiment(epochs=1, batch_size=16), system=fields.get("system", "vae"))
    config = changed(config, "data", dataset=str(tmp_path / "x.npz"), stand_in=False)
    for section in ("data", "model", "labels", "objective"):
        part = getattr(config, section)
        config = changed(config, section, **{field: value for field, value in fields.items() if hasattr(part, field)})
    run, state = trained(tmp_path / "run", config)
    whole = subject_of(run, state)
    expected = write_codes(whole, data=str(tmp_path / "x.npz"), data_dir=None, out=tmp_path / "a.npz")
    (tmp_path / "x.npz").rename(tmp_path / "moved.npz")
    with pytest.raises(FileNotFoundError, match="no data file"):
        open_run(tmp_path / "run")
    model = open_model(tmp_path / "run")
    alone = subject_of(model, load_state(model))
    found = write_codes(alone, data=str(tmp_path / "moved.npz"), data_dir=None, out=tmp_path / "b.npz")
    for array in np.load(expected).files:
        np.testing.assert_array_equal(np.load(found)[array], np.load(expected)[array])
    assert np.load(found)["label"].tolist() == LABEL.tolist()
    paths = [write_samples(s, count=3, seed=0, out=tmp_path / f"{i}.npz")[0] for i, s in enumerate((whole, alone))]
    np.testing.assert_array_equal(*(np.load(path)["x"] for path in paths))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"x": X[::-1]}, "train x, validation x, test x"),
        ({"x": np.r_[X, X[:1]], "label": np.r_[LABEL, LABEL[:1]]}, "train x"),
        ({"label": LABEL[::-1]}, "train label"),
        ({"label": None}, "train label"),
    ],
)
def test_changed_data_are_named(change: dict, named: str, tmp_path) -> None:
    arrays = {"x": X, "label": LABEL}
    np.savez(tmp_path / "x.npz", **arrays)
    config = changed(experiment(batch_size=16), "data", dataset=str(tmp_path / "x.npz"), stand_in=False)
    create(config, tmp_path / "run")
    open_run(tmp_path / "run")
    # Factors, by which codes are scored, may come later.
    np.savez(tmp_path / "x.npz", **arrays, factors=RANDOM.standard_normal((60, 2)))
    open_run(tmp_path / "run")
    np.savez(tmp_path / "x.npz", **{name: array for name, array in {**arrays, **change}.items() if array is not None})
    with pytest.raises(RequestError, match=f"have changed since it was made: {named}.*Put the file back as it was"):
        open_run(tmp_path / "run")
    (tmp_path / "x.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no data file .*x\.npz, on which .*run was trained: put it back"):
        open_run(tmp_path / "run")


def test_conditions_and_classes_are_known_without_the_data(tmp_path, monkeypatch) -> None:
    """More conditions than are kept, and a class that only the test split has."""
    monkeypatch.setattr("vae_jax.train.outline.MOST_EXAMPLES", 20)
    told = {"condition": RANDOM.normal(size=(60, 2)).astype(np.float32)}
    other = {"label": np.arange(60) % 2, "x_test": 255 - X[:6], "label_test": np.arange(6) % 3}
    for name, arrays in (("told", told), ("classes", other)):
        np.savez(tmp_path / f"{name}.npz", x=X, **arrays)
        config = dataclasses.replace(experiment(epochs=1, batch_size=16), system="conditional")
        run, state = trained(
            tmp_path / name, changed(config, "data", dataset=str(tmp_path / f"{name}.npz"), stand_in=False)
        )
        model = open_model(tmp_path / name)
        alone = load_state(model)
        for a, b in zip(jax.tree.leaves(alone.best_params), jax.tree.leaves(state.best_params), strict=True):
            np.testing.assert_array_equal(a, b)
        assert model.steps_per_epoch == run.steps_per_epoch


@pytest.mark.parametrize("binarisation", ["dynamic", "static"])
def test_a_run_whose_test_split_was_not_shuffled_keeps_its_order(binarisation: str, tmp_path, monkeypatch) -> None:
    new = 255 - X
    np.savez(tmp_path / "x.npz", x=X, label=LABEL, x_test=new[:9], label_test=LABEL[:9])
    config = changed(experiment(epochs=1, batch_size=16), "data", dataset=str(tmp_path / "x.npz"), stand_in=False)
    config = changed(config, "data", binarisation=binarisation)
    create(config, tmp_path / "new")
    with monkeypatch.context() as patched:
        patched.setattr(sys.modules["vae_jax.data.load"], "own_test_order", lambda size, seed: np.arange(size))
        run = create(config, tmp_path / "run")
    outline = read_outline(tmp_path / "run")
    assert outline is not None
    del outline["shuffled_test"]
    write_outline(tmp_path / "run", outline)
    opened = open_run(tmp_path / "run").dataset.test
    np.testing.assert_array_equal(opened.x, run.dataset.test.x)
    np.testing.assert_array_equal(opened.label, run.dataset.test.label)
    assert not np.array_equal(open_run(tmp_path / "new").dataset.test.label, opened.label)
    # They are no two evaluations of the same examples in the same order.
    assert _data_of(tmp_path / "run") != _data_of(tmp_path / "new")


def test_a_run_that_took_a_word_for_no_gap_keeps_it(tmp_path, monkeypatch) -> None:
    """A string of a file with types: its model goes on knowing it as a category, in other files too."""
    rows = {"sex": ["f", "?", "m", None] * 15, "size": RANDOM.normal(size=60), "label": ["a", "NA", "b"] * 20}
    data = str(tmp_path / "t.parquet")
    pq.write_table(pa.table(rows), data)
    config = changed(load_config("table"), "data", dataset=data)
    config = changed(changed(config, "train", epochs=1, batch_size=16), "model", hidden=(8,), latent_size=2)
    new = create(config, tmp_path / "new").dataset
    assert new.columns is not None
    assert [column.values for column in new.columns] == [("f", "m"), ()]
    assert new.classes == ("a", "b")
    with monkeypatch.context() as patched:
        patched.setattr("vae_jax.data.table.Table.with_gaps", lambda self: self)
        run, state = trained(tmp_path / "run", config)
    outline = read_outline(tmp_path / "run")
    assert outline is not None
    del outline["gap_words"]
    write_outline(tmp_path / "run", outline)
    opened = open_run(tmp_path / "run")
    assert opened.dataset.columns is not None
    assert opened.dataset.columns[0].values == ("?", "f", "m")
    assert opened.dataset.classes == ("NA", "a", "b")
    np.testing.assert_array_equal(opened.dataset.train.x, run.dataset.train.x)
    path, count = write_imputed(
        subject_of(opened, state), data=data, out=tmp_path / "full.parquet", draws=0, samples=2, seed=0
    )
    assert count == 15
    assert pq.read_table(path)["sex"].to_pylist()[1] == "?"
