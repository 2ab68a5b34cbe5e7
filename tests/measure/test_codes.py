import dataclasses
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.runs import changed, console, experiment, measured, trained
from vae_jax.config import Evaluate, Quantisation
from vae_jax.data import Split
from vae_jax.measure.codes import ACCURACY, CODE_USE, DIMENSION_KL, DISENTANGLEMENT, RECONSTRUCTION
from vae_jax.measure.evaluation import first_measurements
from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures
from vae_jax.report.panel import panel
from vae_jax.report.table import evaluation_table


def test_codes_are_measured_where_there_is_no_density(tmp_path) -> None:
    config = dataclasses.replace(changed(experiment(), "model", posterior="point"), system="autoencoder")
    run, state = trained(tmp_path / "run", config)
    subject, measurements = subject_of(run, state), first_measurements(config)
    assert not subject.has_density
    result = measured(run, state, *measurements)
    assert 0.0 < result["reconstruction_error"] < 0.3
    assert 0.2 < result["probe_accuracy"] <= 1.0
    names = {path.stem for path in write_pictures(subject)}
    assert names == {"training_curve", "latent", "reconstructions"}
    printed = console()
    printed.print(panel(subject, result, measurements), evaluation_table(subject, result, measurements))
    text = printed.file.getvalue()
    assert "linear probe" in text
    assert "log p(x)" not in text.split("what the codes")[0]


def subject_with(encode: Callable[[Any], Any], x: Any, **rest: Any) -> Any:
    """What a measurement of codes asks of a subject: a model that says so of itself, and its examples."""
    coder = vj.VAE(lambda p, x: encode(x), lambda p, z: vj.DiagNormal(z, jnp.ones(2)), lambda p: vj.standard_normal(2))
    return types.SimpleNamespace(coder=coder, density=coder, params=None, examples=x, **rest)


def numbers_of(measurement: Measurement, subject: Any) -> dict[str, Any]:
    return measurement.measure(subject, Options(), {})


def test_reconstruction_is_the_squared_error_of_an_element_in_what_the_model_sees() -> None:
    run = types.SimpleNamespace(dataset=types.SimpleNamespace(most=16))
    x = np.array([[4.0, 4.0], [16.0, 0.0]], np.float32)
    subject = subject_with(lambda x: vj.PointMass(jnp.full(2, x.mean())), x, run=run)
    # The second is told as (8, 8), and 16 is white.
    assert numbers_of(RECONSTRUCTION, subject)["reconstruction_error"] == pytest.approx((0.0 + 64.0) / 2 / 16**2)


def test_the_kl_of_each_dimension_is_its_closed_form_where_there_is_one() -> None:
    x = np.array([[1.0, 0.0], [-1.0, 2.0]], np.float32)
    found = numbers_of(DIMENSION_KL, subject_with(lambda x: vj.DiagNormal(x, jnp.array([1.0, 0.5])), x))
    each = 0.5 * (np.square(x) + np.array([1.0, 0.25]) - 1.0 - np.log([1.0, 0.25]))
    np.testing.assert_allclose(found["kl_per_dimension"], each.mean(axis=0), rtol=1e-5)
    mixed = lambda x: vj.Mixture(jnp.zeros(2), vj.DiagNormal(jnp.stack([x, -x]), jnp.ones((2, 2))))
    assert numbers_of(DIMENSION_KL, subject_with(mixed, x)) == {}


def test_codes_of_a_codebook_are_counted_grid_by_grid() -> None:
    x = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 2]], np.int32)
    config = types.SimpleNamespace(quantisation=Quantisation(codebook_size=5))
    subject = subject_with(
        lambda x: vj.Certain((x, jnp.zeros(1, jnp.int32))), x, run=types.SimpleNamespace(config=config)
    )
    found = numbers_of(CODE_USE, subject)
    assert (found["codebook_size"], found["codes_used"]) == (5, [3, 1])
    np.testing.assert_allclose(found["code_perplexity"], [3.0, 1.0], rtol=1e-5)


def test_accuracy_is_that_of_the_systems_own_classifier_on_the_test_labels() -> None:
    test = Split(np.array([[0.0], [1.0], [2.0], [3.0]], np.float32), np.array([0, 1, 1, 0]))
    dataset = types.SimpleNamespace(test=test, prepare=lambda key, batch: batch)
    run = types.SimpleNamespace(
        dataset=dataset,
        system=types.SimpleNamespace(classify=lambda params, x: jnp.stack([1.5 - x[0], x[0] - 1.5])),
        config=types.SimpleNamespace(evaluate=Evaluate(evaluation_size=3)),
    )
    subject = types.SimpleNamespace(run=run, params=None, data_key=jax.random.key(0))
    # Below 1.5 it says 0: wrong of the second; the fourth is not measured.
    assert ACCURACY.answers(subject)
    assert numbers_of(ACCURACY, subject)["accuracy"] == pytest.approx(2 / 3)


def test_factors_that_stand_still_are_left_out_and_one_alone_is_not_scored() -> None:
    factors = np.stack([np.tile([0, 0, 1, 1], 30), np.tile([0, 1, 0, 1], 30), np.full(120, 7)], axis=1)
    x = (factors[:, :2] + 0.01 * np.random.default_rng(0).standard_normal((120, 2))).astype(np.float32)

    def measured_with(factors: np.ndarray) -> dict[str, Any]:
        dataset = types.SimpleNamespace(test=types.SimpleNamespace(factors=factors))
        return numbers_of(DISENTANGLEMENT, subject_with(vj.PointMass, x, run=types.SimpleNamespace(dataset=dataset)))

    found = measured_with(factors)
    assert (found["factors"], found["scored_examples"]) == (2, 120)
    assert found["mig"] == pytest.approx(1.0, abs=0.02)
    assert measured_with(factors[:, 1:]) == {}
