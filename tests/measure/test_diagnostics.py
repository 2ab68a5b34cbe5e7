import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats
from rich.console import Console

from tests.runs import changed, experiment, measured, trained
from vae_jax.measure import annealed, diagnostics
from vae_jax.measure.annealed import ANNEALED
from vae_jax.measure.codes import DIMENSION_KL
from vae_jax.measure.diagnostics import DIAGNOSTICS
from vae_jax.measure.evaluation import measurements_of
from vae_jax.measure.likelihood import LIKELIHOOD, example_log_marginals
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.report.table import evaluation_table


def kept(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """What a function of a module gives from now on."""
    results, function = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given, **named: results.append(function(*given, **named)) or results[-1])
    return results


def test_diagnostics_add_up(digits, monkeypatch) -> None:
    run, state = digits
    gaps, chains_of_examples = kept(monkeypatch, diagnostics, "map_batches"), kept(monkeypatch, annealed, "finished")
    run = dataclasses.replace(run, config=changed(run.config, "evaluate", gap_examples=10))
    asked = {"annealed_examples": 5, "temperatures": 100}
    found = result = chains = measured(run, state, LIKELIHOOD, DIMENSION_KL, DIAGNOSTICS, ANNEALED, **asked)
    estimates = example_log_marginals(subject_of(run, state), Options(), 10)
    np.testing.assert_allclose(found["index_code"] + found["marginal_kl"], result["rate"], atol=0.1)
    np.testing.assert_allclose(found["total_correlation"] + found["dimension_wise_kl"], found["marginal_kl"], atol=0.05)
    np.testing.assert_allclose(sum(found["kl_per_dimension"]), result["rate"], atol=0.1)
    np.testing.assert_allclose(found["joint_kl_posterior"], result["log_marginal"] - result["elbo"], atol=0.1)
    np.testing.assert_allclose(found["joint_kl"], found["joint_kl_latent"] + found["joint_kl_conditional"], rtol=1e-5)
    # Errors are the spread over the examples, by the square root of their number.
    for name in ("approximation", "amortisation"):
        assert found[f"{name}_gap_error"] == pytest.approx(scipy.stats.sem(getattr(gaps[0], name)), rel=1e-4)
    assert found["bdmc_gap_error"] == pytest.approx(scipy.stats.sem(chains_of_examples[0].gap), rel=1e-4)
    assert found["ais_test_examples_error"] == pytest.approx(scipy.stats.sem(chains_of_examples[0].value), rel=1e-4)
    assert found["approximation_gap"] > -0.1
    assert found["amortisation_gap"] > -0.1
    without = dataclasses.replace(run, config=changed(run.config, "evaluate", gap_examples=0))
    without = measured(without, state, LIKELIHOOD, DIMENSION_KL, DIAGNOSTICS, ANNEALED)
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


@pytest.mark.parametrize("posterior", ["iaf", pytest.param("planar", marks=pytest.mark.slow), "categorical"])
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
