"""What is measured and drawn of a run whose layers stand along one path."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import changed, console, experiment, measured, trained
from vae_jax.config import Experiment
from vae_jax.measure.codes import LAYER_KL, RECONSTRUCTION
from vae_jax.measure.evaluation import measurements_of
from vae_jax.measure.likelihood import LIKELIHOOD
from vae_jax.measure.subject import Subject, subject_of
from vae_jax.pictures.layers import _drawn
from vae_jax.pictures.run import write_pictures
from vae_jax.report.panel import panel
from vae_jax.report.table import evaluation_table


def config(**fields: Any) -> Experiment:
    fields = {"hidden": (16,), "latent_layers": (3,), "latent_size": 2} | fields
    return changed(changed(experiment(epochs=3), "model", **fields), "optimizer", skip_norm=1e4)


@pytest.fixture(scope="module")
def run_and_state(tmp_path_factory: pytest.TempPathFactory):
    return trained(tmp_path_factory.mktemp("ladder") / "run", config())


@pytest.fixture(scope="module")
def subject(run_and_state) -> Subject:
    return subject_of(*run_and_state)


def test_each_layer_is_measured(run_and_state, subject: Subject) -> None:
    assert subject.is_path
    result = measured(*run_and_state, LIKELIHOOD, LAYER_KL)
    assert result["latent_size"] == [2, 2, 2]
    assert result["log_marginal"] > result["elbo"]
    assert len(result["kl_per_layer"]) == 3
    np.testing.assert_allclose(sum(result["kl_per_layer"]), result["rate"], rtol=0.1, atol=0.05)
    assert not RECONSTRUCTION.answers(subject)
    printed, measurements = console(), measurements_of(subject.run.config)
    printed.print(panel(subject, result, measurements), evaluation_table(subject, result, measurements))
    layers = " + ".join(f"{nats:.2f}" for nats in result["kl_per_layer"])
    assert printed.file.getvalue().count(layers) == 2


def test_each_layer_is_drawn(subject: Subject) -> None:
    names = {path.stem for path in write_pictures(subject)}
    assert names >= {"layers", "temperatures", "layer_by_layer", "samples", "reconstructions", "latent"}


def test_a_path_of_one_layer_is_a_path(tmp_path) -> None:
    subject = subject_of(*trained(tmp_path / "run", config(latent_layers=(1,))))
    assert subject.code == "layers"
    names = {path.stem for path in write_pictures(subject)}
    assert names >= {"temperatures", "samples", "reconstructions", "latent"}


def test_a_layer_at_its_mean_is_the_same_for_every_noise_above_which_nothing_is_drawn(subject: Subject) -> None:
    cold = _drawn(subject, jnp.zeros(3))
    assert all(np.ptp(layer, axis=0).max() < 1e-5 for layer in cold)
    highest = _drawn(subject, jnp.array([0.0, 0.0, 1.0]))
    assert np.std(highest[2], axis=0).min() > 0.1
    # The same noise at any temperature of the layers below.
    np.testing.assert_allclose(_drawn(subject, jnp.ones(3))[2], highest[2], rtol=1e-5)


@pytest.mark.slow
def test_layers_of_grids_are_measured_and_drawn(tmp_path) -> None:
    grid = config(network="grid", hidden=(8, 8), latent_layers=(1, 1))
    run, state = trained(tmp_path / "run", dataclasses.replace(grid))
    result = measured(run, state, LIKELIHOOD, LAYER_KL)
    assert result["latent_size"] == [4 * 4 * 2, 2 * 2 * 2]
    assert {path.stem for path in write_pictures(subject_of(run, state))} >= {"layers", "temperatures"}
