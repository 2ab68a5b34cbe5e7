import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import vae_jax as vj
from tests.runs import changed, console, experiment, trained
from vae_jax import measure, measure_codes, report
from vae_jax.cli import main
from vae_jax.config import ConfigError
from vae_jax.evaluate import resumable
from vae_jax.evaluate.batched import mapped
from vae_jax.pictures import write_pictures


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("digits") / "run")


def test_every_number_carries_its_protocol(digits, monkeypatch) -> None:
    run, state = digits
    result, _ = measure.likelihood(run, state.best_params)
    assert {"k", "binarisation", "evaluated_examples", "train_seed", "data_seed", "unit"} <= set(result)
    assert result["log_marginal"] > result["elbo"]
    assert 0 < result["monte_carlo_error"] < result["test_examples_error"]
    np.testing.assert_allclose(result["elbo"], -result["rate"] - result["distortion"], atol=0.1)
    np.testing.assert_allclose(result["bits_per_dimension"], -result["log_marginal"] / np.log(2) / 64)
    assert result["latent_size"] == [2]
    assert 0 <= result["active_units"][0] <= 2
    # Computed once: the second time the estimates are read, unless they are of something else.
    monkeypatch.setattr(measure, "log_marginal_batches", None)
    assert measure.likelihood(run, state.best_params)[0] == result
    with pytest.raises(TypeError):
        measure.likelihood(run, state.best_params, seed=1)
    path = report.write_evaluation(run, result)
    assert json.loads(path.read_text()) == result | {"fraction_pareto_k_above_0.7": None}
    saved = np.load(run.directory / "evaluation.npz")
    np.testing.assert_allclose(saved["value"].mean(), result["log_marginal"], rtol=1e-6)


def test_diagnostics_add_up(digits) -> None:
    run, state = digits
    result, estimates = measure.likelihood(run, state.best_params)
    found = measure.diagnostics(run, state.best_params, result["log_marginal"], gap_examples=10)
    np.testing.assert_allclose(found["index_code"] + found["marginal_kl"], result["rate"], atol=0.1)
    np.testing.assert_allclose(found["total_correlation"] + found["dimension_wise_kl"], found["marginal_kl"], atol=0.05)
    np.testing.assert_allclose(sum(found["kl_per_dimension"]), result["rate"], atol=0.1)
    np.testing.assert_allclose(found["joint_kl_posterior"], result["log_marginal"] - result["elbo"], atol=0.1)
    np.testing.assert_allclose(found["joint_kl"], found["joint_kl_latent"] + found["joint_kl_conditional"], rtol=1e-5)
    assert found["approximation_gap"] > -0.1
    assert found["amortisation_gap"] > -0.1
    without = measure.diagnostics(run, state.best_params, result["log_marginal"], gap_examples=0)
    assert set(found) - set(without) == {name for name in found if "gap" in name}
    chains = measure.annealed(run, state.best_params, estimates, examples=5, num_temperatures=100)
    sampled = float(estimates.value[:5].mean())
    assert chains["ais_sampled_log_marginal"] == pytest.approx(sampled)
    error = np.sqrt(np.sum(estimates.standard_error[:5] ** 2)) / 5
    assert chains["ais_sampled_monte_carlo_error"] == pytest.approx(float(error), rel=1e-5)
    assert abs(chains["ais_log_marginal"] - sampled) < 4 * chains["ais_monte_carlo_error"] + 0.2
    assert abs(chains["bdmc_gap"]) < 0.5
    console = Console(width=150, record=True)
    console.print(report.table(result | found | chains | measure.progress(run, state), "a run"))
    text = console.export_text()
    for part in ("likelihood", "BDMC gap", "index code", "data + posterior", "amortisation gap", "protocol"):
        assert part in text


def test_other_data_are_measured_again(digits, monkeypatch) -> None:
    run, state = digits
    first, _ = measure.likelihood(run, state.best_params)
    shifted = run.dataset.test._replace(x=np.ascontiguousarray(run.dataset.test.x[::-1]))
    other = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, test=shifted))
    second, _ = measure.likelihood(other, state.best_params)
    assert first["measured"] != second["measured"]
    assert first["log_marginal"] != second["log_marginal"]


def test_what_was_found_before_stays(digits) -> None:
    run, state = digits
    result, _ = measure.likelihood(run, state.best_params)
    report.write_evaluation(run, result | {"bdmc_gap": 0.5})
    path = report.write_evaluation(run, result)
    assert json.loads(path.read_text())["bdmc_gap"] == 0.5
    report.write_evaluation(run, result | {"measured": "something else"})
    assert "bdmc_gap" not in json.loads(path.read_text())


def test_a_hierarchy_is_measured_as_far_as_it_goes(tmp_path) -> None:
    config = changed(experiment(), "model", upper_latent_sizes=(2,), upper_hidden=(4,))
    config = changed(config, "objective", bound="iwae", estimator="dreg", num_samples=2)
    run, state = trained(tmp_path / "run", config)
    result, _ = measure.likelihood(run, state.best_params)
    assert result["latent_size"] == [2, 2]
    assert result["log_marginal"] > result["elbo"]
    assert measure.diagnostics(run, state.best_params, result["log_marginal"]) == {}
    console = Console(width=150, record=True)
    console.print(report.table(result | measure.progress(run, state), "a run"))
    assert "of 2 +" in console.export_text()
    assert {path.stem for path in write_pictures(run, state)} >= {"samples", "reconstructions", "training_curve"}


def test_the_panel_says_what_each_error_is_of(digits) -> None:
    run, state = digits
    console = Console(width=150, record=True)
    console.print(report.panel(run, state, measure.likelihood(run, state.best_params)[0]))
    text = console.export_text()
    for part in ("nats per example", "k = 10", "Monte Carlo", "test examples", "seeds", "active units", "pictures"):
        assert part in text


def test_a_model_without_density_says_so(digits) -> None:
    run, _ = digits
    with pytest.raises(ConfigError, match="has no codes"):
        measure.density(dataclasses.replace(run, system=run.system._replace(vae=None)))
    coder = vj.Autoencoder(run.system.vae.encode, run.system.vae.decode)
    without_prior = dataclasses.replace(run, system=run.system._replace(vae=coder))
    assert measure.coder(without_prior) is coder
    with pytest.raises(ConfigError, match="has no prior, so there is no log p"):
        measure.density(without_prior)


def test_codes_are_measured_where_there_is_no_density(tmp_path) -> None:
    config = dataclasses.replace(changed(experiment(), "model", posterior="point"), system="autoencoder")
    run, state = trained(tmp_path / "run", config)
    assert not measure.has_likelihood(run, state.best_params)
    found = measure_codes.representation(run, state.best_params)
    assert 0.0 < found["reconstruction_error"] < 0.3
    assert 0.2 < found["probe_accuracy"] <= 1.0
    names = {path.stem for path in write_pictures(run, state)}
    assert names == {"training_curve", "latent", "reconstructions"}
    result = measure.protocol(run, state.best_params) | found | measure.progress(run, state)
    printed = console()
    printed.print(report.panel(run, state, result), report.table(result, "run"))
    text = printed.file.getvalue()
    assert "linear probe" in text
    assert "log p(x)" not in text.split("what the codes")[0]


def test_a_conditional_model_is_measured_given_its_condition(tmp_path) -> None:
    run, state = trained(tmp_path / "run", dataclasses.replace(experiment(), system="conditional"))
    result, estimates = measure.likelihood(run, state.best_params)
    assert result["density_of"] == "x given its condition"
    assert np.isfinite(estimates.value).all()
    found = measure.diagnostics(run, state.best_params, result["log_marginal"], gap_examples=2)
    assert {"index_code", "total_correlation", "amortisation_gap"} <= set(found)
    assert "joint_kl" not in found
    chains = measure.annealed(run, state.best_params, estimates, examples=2, num_temperatures=100)
    assert abs(chains["ais_log_marginal"] - chains["ais_sampled_log_marginal"]) < 1.0
    assert "probe_accuracy" not in measure_codes.representation(run, state.best_params)
    assert "conditions" in {path.stem for path in write_pictures(run, state)}


def test_a_likelihood_that_cannot_give_the_data_is_refused(digits) -> None:
    run, state = digits
    report.write_evaluation(run, measure.likelihood(run, state.best_params)[0])
    kept = {path: path.read_bytes() for path in run.directory.glob("evaluation*")}
    assert {path.suffix for path in kept} == {".json", ".npz"}
    broken = jax.tree.map(lambda leaf: leaf * np.nan, state.best_params)
    with pytest.raises(ConfigError, match="log p.* is nan for .* cannot give the data. Nothing was written"):
        measure.likelihood(run, broken)

    # One example has no probability at all.
    x = measure.measured_examples(run)
    vae = run.system.vae

    def decode(params, z):
        return Impossible(vae.decode(params, z), x[5])

    other = dataclasses.replace(run, system=run.system._replace(vae=vae._replace(decode=decode)))
    size = len(x)
    with pytest.raises(ConfigError, match=rf"is -inf for 1 of {size} examples, number 5 the first: the likelihood"):
        measure.likelihood(other, state.best_params, seed=3)
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
    monkeypatch.setattr(measure, "_ANNEALED_BATCH", 2)
    monkeypatch.setattr(resumable, "_SAVE_SECONDS", 0.0)
    options = {"examples": 5, "num_temperatures": 10, "seed": 4}
    whole = measure.annealed(run, state.best_params, None, **options)

    def stopped(steps, *args):
        next(steps)
        next(steps)
        steps.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as stop:
        stop.setattr(measure, "_with_progress", stopped)
        with pytest.raises(KeyboardInterrupt):
            measure.annealed(run, state.best_params, None, **options)
    (partial,) = run.directory.glob("*annealed.partial.npz")
    assert len(np.load(partial)["value"]) == 4
    monkeypatch.setattr(measure, "mapped", lambda *args, first, **options: recorded(first, *args, **options))
    first_asked = []

    def recorded(first, *args, **options):
        first_asked.append(first)
        return mapped(*args, first=first, **options)

    assert measure.annealed(run, state.best_params, None, **options) == whole
    assert first_asked == [4]
    assert not partial.exists()


def test_annealing_of_choices_is_refused_before_anything_is_measured(tmp_path) -> None:
    config = changed(experiment(epochs=1), "model", posterior="concrete", classes=4)
    run, _ = trained(tmp_path / "run", config)
    assert main(["evaluate", str(run.directory), "--ais", "2"]) == 1
    assert not (run.directory / "evaluation.json").exists()


def test_what_is_not_known_is_null(digits, tmp_path) -> None:
    run, state = digits
    result, _ = measure.likelihood(changed_k(run, 1), state.best_params)
    text = report.write_evaluation(run, result).read_text()
    assert json.loads(text)["monte_carlo_error"] is None
    assert json.loads(text)["fraction_pareto_k_above_0.7"] is None


def changed_k(run, k: int):
    return dataclasses.replace(run, config=changed(run.config, "evaluate", evaluation_samples=k))
