import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import vae_jax as vj
from tests.runs import changed, console, experiment, measured, trained
from vae_jax.cli import main
from vae_jax.core.errors import RequestError
from vae_jax.evaluate.batched import mapped
from vae_jax.measure import annealed, likelihood, resumable
from vae_jax.measure.annealed import ANNEALED
from vae_jax.measure.codes import DIMENSION_KL, PROBE
from vae_jax.measure.diagnostics import DIAGNOSTICS
from vae_jax.measure.evaluation import first_measurements, measurements_of, write_evaluation
from vae_jax.measure.likelihood import CONDITIONAL_LIKELIHOOD, LIKELIHOOD, example_log_marginals
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures
from vae_jax.report.panel import panel
from vae_jax.report.table import evaluation_table


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits") / "run")


def test_every_number_carries_its_protocol(digits, monkeypatch) -> None:
    run, state = digits
    result = measured(run, state, LIKELIHOOD)
    assert {"k", "binarisation", "evaluated_examples", "train_seed", "data_seed", "unit"} <= set(result)
    assert result["log_marginal"] > result["elbo"]
    assert 0 < result["monte_carlo_error"] < result["test_examples_error"]
    np.testing.assert_allclose(result["elbo"], -result["rate"] - result["distortion"], atol=0.1)
    np.testing.assert_allclose(result["bits_per_dimension"], -result["log_marginal"] / np.log(2) / 64)
    assert result["latent_size"] == [2]
    assert 0 <= result["active_units"][0] <= 2
    # Computed once: the second time the estimates are read, unless they are of something else.
    monkeypatch.setattr(likelihood, "log_marginal_batches", None)
    assert measured(run, state, LIKELIHOOD) == result
    with pytest.raises(TypeError):
        measured(run, state, LIKELIHOOD, seed=1)
    path = write_evaluation(subject_of(run, state), result)
    assert json.loads(path.read_text()) == result | {"fraction_pareto_k_above_0.7": None}
    saved = np.load(run.directory / "evaluation.npz")
    np.testing.assert_allclose(saved["value"].mean(), result["log_marginal"], rtol=1e-6)


def test_diagnostics_add_up(digits) -> None:
    run, state = digits
    asked = {"gap_examples": 10, "annealed_examples": 5, "temperatures": 100}
    found = result = chains = measured(run, state, LIKELIHOOD, DIMENSION_KL, DIAGNOSTICS, ANNEALED, **asked)
    estimates = example_log_marginals(subject_of(run, state), Options(), 10)
    np.testing.assert_allclose(found["index_code"] + found["marginal_kl"], result["rate"], atol=0.1)
    np.testing.assert_allclose(found["total_correlation"] + found["dimension_wise_kl"], found["marginal_kl"], atol=0.05)
    np.testing.assert_allclose(sum(found["kl_per_dimension"]), result["rate"], atol=0.1)
    np.testing.assert_allclose(found["joint_kl_posterior"], result["log_marginal"] - result["elbo"], atol=0.1)
    np.testing.assert_allclose(found["joint_kl"], found["joint_kl_latent"] + found["joint_kl_conditional"], rtol=1e-5)
    assert found["approximation_gap"] > -0.1
    assert found["amortisation_gap"] > -0.1
    without = measured(run, state, LIKELIHOOD, DIMENSION_KL, DIAGNOSTICS, ANNEALED, gap_examples=0)
    assert set(found) - set(without) == {name for name in found if "gap" in name or name.startswith("ais")}
    sampled = float(estimates.value[:5].mean())
    assert chains["ais_sampled_log_marginal"] == pytest.approx(sampled)
    error = np.sqrt(np.sum(estimates.standard_error[:5] ** 2)) / 5
    assert chains["ais_sampled_monte_carlo_error"] == pytest.approx(float(error), rel=1e-5)
    assert abs(chains["ais_log_marginal"] - sampled) < 4 * chains["ais_monte_carlo_error"] + 0.2
    assert abs(chains["bdmc_gap"]) < 0.5
    console = Console(width=150, record=True)
    console.print(evaluation_table(subject_of(run, state), found, measurements_of(run.config)))
    text = console.export_text()
    for part in ("likelihood", "BDMC gap", "index code", "data + posterior", "amortisation gap", "protocol"):
        assert part in text


def test_other_data_are_measured_again(digits, monkeypatch) -> None:
    run, state = digits
    first = measured(run, state, LIKELIHOOD)
    shifted = run.dataset.test._replace(x=np.ascontiguousarray(run.dataset.test.x[::-1]))
    other = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, test=shifted))
    second = measured(other, state, LIKELIHOOD)
    assert first["measured"] != second["measured"]
    assert first["log_marginal"] != second["log_marginal"]


def test_what_was_found_before_stays(digits) -> None:
    run, state = digits
    subject, result = subject_of(run, state), measured(run, state, LIKELIHOOD)
    write_evaluation(subject, result | {"bdmc_gap": 0.5})
    path = write_evaluation(subject, result)
    assert json.loads(path.read_text())["bdmc_gap"] == 0.5
    write_evaluation(subject, result | {"measured": "something else"})
    assert "bdmc_gap" not in json.loads(path.read_text())


def test_a_hierarchy_is_measured_as_far_as_it_goes(tmp_path) -> None:
    config = changed(experiment(), "model", upper_latent_sizes=(2,), upper_hidden=(4,))
    config = changed(config, "objective", bound="iwae", estimator="dreg", num_samples=2)
    run, state = trained(tmp_path / "run", config)
    subject, result = subject_of(run, state), measured(run, state, LIKELIHOOD)
    assert result["latent_size"] == [2, 2]
    assert result["log_marginal"] > result["elbo"]
    assert subject.code == "layers"
    assert not DIAGNOSTICS.answers(subject)
    console = Console(width=150, record=True)
    console.print(evaluation_table(subject, result, measurements_of(run.config)))
    assert "of 2 +" in console.export_text()
    assert {path.stem for path in write_pictures(subject)} >= {"samples", "reconstructions", "training_curve"}


@pytest.mark.parametrize("posterior", ["iaf", "planar", "categorical"])
def test_a_posterior_of_no_simple_family_has_its_index_code(tmp_path, posterior: str) -> None:
    config = changed(experiment(epochs=1), "model", posterior=posterior, flow_layers=1, classes=3)
    config = changed(config, "objective", estimator="score" if posterior == "categorical" else "sampled", num_samples=2)
    run, state = trained(tmp_path / "run", config)
    result = measured(run, state, LIKELIHOOD, DIAGNOSTICS)
    assert result["index_code"] + 3 * result["index_code_error"] >= 0.0
    assert result["index_code"] <= result["most_index_code"]
    error = 3 * np.hypot(result["index_code_error"], result["marginal_kl_error"]) + 0.1
    np.testing.assert_allclose(result["index_code"] + result["marginal_kl"], result["rate"], atol=error)
    assert "approximation_gap" not in result


def test_the_panel_says_what_each_error_is_of(digits) -> None:
    run, state = digits
    console = Console(width=150, record=True)
    console.print(panel(subject_of(run, state), measured(run, state, LIKELIHOOD), [LIKELIHOOD]))
    text = console.export_text()
    for part in ("nats per example", "k = 10", "Monte Carlo", "test examples", "seeds", "active units", "pictures"):
        assert part in text


def test_a_model_without_density_says_so(digits) -> None:
    run, state = digits
    with pytest.raises(RequestError, match="has no codes"):
        _ = subject_of(dataclasses.replace(run, system=run.system._replace(vae=None)), state).density
    coder = vj.Autoencoder(run.system.vae.encode, run.system.vae.decode)
    without_prior = subject_of(dataclasses.replace(run, system=run.system._replace(vae=coder)), state)
    assert without_prior.coder is coder
    with pytest.raises(RequestError, match="has no prior, so there is no log p"):
        _ = without_prior.density
    with pytest.raises(RequestError, match="has no prior, so there is no log p"):
        without_prior.check_fitted_prior()


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


def test_a_conditional_model_is_measured_given_its_condition(tmp_path) -> None:
    run, state = trained(tmp_path / "run", dataclasses.replace(experiment(), system="conditional"))
    asked = {"gap_examples": 2, "annealed_examples": 2, "temperatures": 100}
    result = measured(run, state, CONDITIONAL_LIKELIHOOD, DIAGNOSTICS, ANNEALED, **asked)
    assert result["density_of"] == "x given its condition"
    assert {"index_code", "total_correlation", "amortisation_gap"} <= set(result)
    assert "joint_kl" not in result
    assert abs(result["ais_log_marginal"] - result["ais_sampled_log_marginal"]) < 1.0
    subject = subject_of(run, state)
    assert np.isfinite(example_log_marginals(subject, Options(), 10).value).all()
    assert not PROBE.answers(subject)
    assert "conditions" in {path.stem for path in write_pictures(subject)}


def test_a_likelihood_that_cannot_give_the_data_is_refused(digits) -> None:
    run, state = digits
    write_evaluation(subject_of(run, state), measured(run, state, LIKELIHOOD))
    kept = {path: path.read_bytes() for path in run.directory.glob("evaluation*")}
    assert {path.suffix for path in kept} == {".json", ".npz"}
    broken = state._replace(best_params=jax.tree.map(lambda leaf: leaf * np.nan, state.best_params))
    with pytest.raises(RequestError, match="log p.* is nan for .* cannot give the data. Nothing was written"):
        measured(run, broken, LIKELIHOOD)

    # One example has no probability at all.
    x = subject_of(run, state).examples
    vae = run.system.vae

    def decode(params, z):
        return Impossible(vae.decode(params, z), x[5])

    other = dataclasses.replace(run, system=run.system._replace(vae=vae._replace(decode=decode)))
    size = len(x)
    with pytest.raises(RequestError, match=rf"is -inf for 1 of {size} examples, number 5 the first: the likelihood"):
        measured(other, state, LIKELIHOOD, seed=3)
    assert {path: path.read_bytes() for path in run.directory.glob("evaluation*")} == kept


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Impossible:
    """Another distribution, but that one value cannot be."""

    distribution: Any
    value: Any

    def sample(self, key, shape=()):
        return self.distribution.sample(key, shape)

    def log_prob(self, value):
        return jnp.where(jnp.all(value == self.value), -jnp.inf, self.distribution.log_prob(value))


def test_an_interrupted_annealing_goes_on(digits, monkeypatch) -> None:
    run, state = digits
    monkeypatch.setattr(annealed, "_BATCH", 2)
    monkeypatch.setattr(resumable, "_SAVE_SECONDS", 0.0)
    options = {"annealed_examples": 5, "temperatures": 10, "seed": 4}
    whole = measured(run, state, ANNEALED, **options)

    def stopped(steps, *args):
        next(steps)
        next(steps)
        steps.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as stop:
        stop.setattr(annealed, "finished", stopped)
        with pytest.raises(KeyboardInterrupt):
            measured(run, state, ANNEALED, **options)
    (partial,) = run.directory.glob("*annealed.partial.npz")
    assert len(np.load(partial)["value"]) == 4
    monkeypatch.setattr(annealed, "mapped", lambda *args, first, **options: recorded(first, *args, **options))
    first_asked = []

    def recorded(first, *args, **options):
        first_asked.append(first)
        return mapped(*args, first=first, **options)

    assert measured(run, state, ANNEALED, **options) == whole
    assert first_asked == [4]
    assert not partial.exists()


def test_annealing_of_choices_is_refused_before_anything_is_measured(tmp_path) -> None:
    config = changed(experiment(epochs=1), "model", posterior="concrete", classes=4)
    run, _ = trained(tmp_path / "run", config)
    assert main(["evaluate", str(run.directory), "--ais", "2"]) == 1
    assert not (run.directory / "evaluation.json").exists()


def test_what_is_not_known_is_null(digits, tmp_path) -> None:
    run, state = digits
    result = measured(changed_k(run, 1), state, LIKELIHOOD)
    text = write_evaluation(subject_of(run, state), result).read_text()
    assert json.loads(text)["monte_carlo_error"] is None
    assert json.loads(text)["fraction_pareto_k_above_0.7"] is None


def changed_k(run, k: int):
    return dataclasses.replace(run, config=changed(run.config, "evaluate", evaluation_samples=k))
