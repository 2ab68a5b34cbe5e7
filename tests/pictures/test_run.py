import dataclasses
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures

WAYS = {"interpolations", "j_diagram", "classes"}
VECTORS = {"training_curve", "latent", "reconstructions", "samples", "traversals"} | WAYS
CASES = {
    "two dimensions": (experiment(), {"training_curve", "latent", "reconstructions", "samples", "manifold"}),
    "more dimensions": (
        changed(experiment(), "model", latent_size=5),
        VECTORS,
    ),
    "full covariance": (
        changed(experiment(), "model", latent_size=3, posterior="full"),
        VECTORS,
    ),
    "points in the plane": (
        changed(experiment("curve"), "model", latent_size=1),
        {"training_curve", "latent", "samples"},
    ),
    "grey images": (
        changed(changed(experiment(), "data", binarisation="none"), "model", likelihood="normal"),
        {"training_curve", "latent", "reconstructions", "samples", "manifold"},
    ),
    "what was spoilt": (
        changed(
            changed(dataclasses.replace(experiment(), system="autoencoder"), "codes", corruption="masking"),
            *("model",),
            posterior="point",
        ),
        {"training_curve", "latent", "reconstructions", "denoised"},
    ),
    "conditions": (
        dataclasses.replace(experiment(), system="conditional"),
        {"training_curve", "latent", "conditions"},
    ),
}


# Those of more dimensions are those of full covariance; they run with `pytest -m slow`.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "more dimensions" else name for name in CASES]
)
def test_every_picture_that_fits_is_drawn(tmp_path, name: str) -> None:
    config, expected = CASES[name]
    run, state = trained(tmp_path / "run", config)
    paths = write_pictures(subject_of(run, state))
    assert {path.stem for path in paths} == expected
    for path in paths:
        image = matplotlib.image.imread(path)
        assert min(image.shape[:2]) > 200
        assert image.std() > 0.01


def test_the_denoised_were_spoilt_as_in_training(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vae_jax.pictures.run.save_figures", lambda folder, figures: figures)
    drawn: Any = write_pictures(subject_of(*trained(tmp_path / "run", CASES["what was spoilt"][0])))
    (axes,) = drawn["denoised"].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data", "spoilt", "decoded"]
    data, spoilt, _ = np.array_split(np.asarray(axes.images[0].get_array()), 3)
    # Masking takes ink away and adds none.
    assert spoilt.mean() < 0.9 * data.mean()


@pytest.mark.parametrize(
    ("config", "rows"),
    [(CASES["two dimensions"][0], ["data", "its bits", "decoded"]), (CASES["grey images"][0], ["data", "decoded"])],
)
def test_the_rows_of_reconstructions_say_what_they_are(config, rows: list[str], tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vae_jax.pictures.run.save_figures", lambda folder, figures: figures)
    drawn: Any = write_pictures(subject_of(*trained(tmp_path / "run", config)))
    (axes,) = drawn["reconstructions"].axes
    assert [label.get_text() for label in axes.get_yticklabels()] == rows * 3


def test_real_conditions_are_shown_in_order(tmp_path) -> None:
    random = np.random.default_rng(0)
    ink = random.uniform(0.1, 0.9, (300, 1)).astype(np.float32)
    x = np.broadcast_to(random.random((300, 8, 8)) < ink[..., None], (300, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "ink.npz", x=x, condition=ink)
    conditional = changed(experiment(epochs=60), "optimizer", learning_rate=1e-2)
    conditional = dataclasses.replace(conditional, system="conditional")
    config = changed(conditional, "data", dataset=str(tmp_path / "ink.npz"), binarisation="none")
    run, state = trained(tmp_path / "run", config)
    drawn = {path.stem: path for path in write_pictures(subject_of(run, state))}
    image = matplotlib.image.imread(drawn["conditions"])
    left, right = image[:, : image.shape[1] // 3], image[:, -image.shape[1] // 3 :]
    # Ink is dark.
    assert right.mean() < left.mean() - 0.1
