import dataclasses

import jax
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import subject_of
from vae_jax.pictures import plots, views
from vae_jax.pictures.picture import Shown
from vae_jax.pictures.run import write_pictures
from vae_jax.pictures.views import VIEWS


def test_neighbours_stay_together(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three groups of codes in ten dimensions are three groups in the plane."""
    random = np.random.default_rng(0)
    label = np.repeat(np.arange(3), 60).astype(np.int32)
    codes = (8.0 * random.standard_normal((3, 10))[label] + random.standard_normal((180, 10))).astype(np.float32)
    subject = subject_of(*trained(tmp_path / "run", changed(experiment(epochs=1), "model", latent_size=10)))
    seen = {}
    monkeypatch.setattr(
        plots, "codes", lambda clouds, labels, *, title: seen.update(points=clouds[0][0], labels=labels)
    )
    test = subject.run.dataset.test._replace(label=label)
    for picture in VIEWS:
        if picture.suits(subject):
            picture.draw(subject, Shown(test, None, codes))
            near = NearestNeighbors(n_neighbors=6).fit(seen["points"]).kneighbors(return_distance=False)
            assert np.mean(label[near] == label[:, None]) > 0.98
            np.testing.assert_array_equal(np.asarray(seen["labels"], int), label)
    assert VIEWS[0].suits(subject)


def test_two_dimensions_need_no_such_view_and_few_examples_have_none(digits, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = subject_of(*digits)
    assert not any(picture.suits(subject) for picture in VIEWS)
    wide = dataclasses.replace(subject)
    monkeypatch.setattr(type(wide), "z", jax.ShapeDtypeStruct((5,), np.float32))
    assert VIEWS[0].suits(wide)
    # What is shown is the highest layer.
    layers = tuple(jax.ShapeDtypeStruct((size,), np.float32) for size in (5, 1))
    monkeypatch.setattr(type(wide), "z", layers)
    assert not VIEWS[0].suits(wide)
    monkeypatch.setattr(views, "_LEAST", 10_000)
    assert not VIEWS[0].suits(wide)


def test_they_are_drawn_where_they_are_asked_for(tmp_path) -> None:
    subject = subject_of(*trained(tmp_path / "run", changed(experiment(epochs=1), "model", latent_size=3)))
    names = {path.stem for path in write_pictures(subject, VIEWS)}
    assert "tsne" in names
    assert "tsne" not in {path.stem for path in write_pictures(subject)}
