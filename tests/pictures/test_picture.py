import dataclasses

import pytest

from tests.runs import changed, experiment
from vae_jax.config import Experiment
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.picture import draws_vectors, shows_images
from vae_jax.train.run import create

# Of each run: whether its examples are pictures that a code alone decodes, and whether such a code is a normal vector.
RUNS: dict[str, tuple[Experiment, bool, bool]] = {
    "digits": (experiment(), True, True),
    "points in the plane": (changed(experiment("curve"), "model", latent_size=1), False, False),
    "digits given their class": (dataclasses.replace(experiment(), system="conditional"), False, False),
    "two layers": (
        changed(changed(experiment(), "model", upper_latent_sizes=(2,)), "objective", estimator="dreg"),
        True,
        False,
    ),
    "choices": (changed(experiment(), "model", posterior="concrete"), True, False),
    "codes on a sphere": (changed(experiment(), "model", latent_size=3, posterior="sphere"), True, False),
    "codes without a density": (dataclasses.replace(experiment(), system="autoencoder"), True, False),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_picture_asks_what_the_codes_and_examples_are(tmp_path, name: str) -> None:
    config, images, vectors = RUNS[name]
    run = create(config, tmp_path / "run")
    subject = subject_of(run, run.initial())
    assert (shows_images(subject), draws_vectors(subject)) == (images, vectors)
