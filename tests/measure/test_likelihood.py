import dataclasses
import io
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import vae_jax as vj
from tests.measure.test_subject import KINDS
from tests.runs import changed, experiment, measured, trained
from vae_jax.core.errors import RequestError
from vae_jax.evaluate.log_weights import weighed
from vae_jax.measure import likelihood
from vae_jax.measure.annealed import ANNEALED
from vae_jax.measure.codes import PROBE
from vae_jax.measure.diagnostics import DIAGNOSTICS
from vae_jax.measure.evaluation import measurements_of, write_evaluation
from vae_jax.measure.likelihood import (
    CERTAIN_LIKELIHOOD,
    CONDITIONAL_LIKELIHOOD,
    LIKELIHOOD,
    enough_samples,
    example_log_marginals,
    summary,
)
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures
from vae_jax.report.card import model_card
from vae_jax.report.table import evaluation_table
from vae_jax.systems.registry import IN_PYTHON
from vae_jax.train.run import prepare_run


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


def test_other_data_are_measured_again(digits, monkeypatch) -> None:
    run, state = digits
    first = measured(run, state, LIKELIHOOD)
    shifted = run.dataset.test._replace(x=np.ascontiguousarray(run.dataset.test.x[::-1]))
    other = dataclasses.replace(run, dataset=dataclasses.replace(run.dataset, test=shifted))
    second = measured(other, state, LIKELIHOOD)
    assert first["measured"] != second["measured"]
    assert first["log_marginal"] != second["log_marginal"]


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


def test_a_conditional_model_is_measured_given_its_condition(tmp_path) -> None:
    run, state = trained(tmp_path / "run", dataclasses.replace(experiment(), system="conditional"))
    asked = {"annealed_examples": 2, "temperatures": 100}
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


def test_a_decoder_that_ignores_z_is_told_of(digits, tmp_path) -> None:
    run, state = digits
    blind = vj.VAE(
        encode=lambda params, x: vj.standard_normal(2),
        decode=lambda params, z: vj.Bernoulli(jnp.zeros((8, 8, 1))),
        prior=lambda params: vj.standard_normal(2),
    )
    other = dataclasses.replace(run, system=run.system._replace(vae=blind), directory=tmp_path)
    result = measured(other, state, LIKELIHOOD)
    # Every bit costs a bit, whatever z is.
    np.testing.assert_allclose(result["log_marginal"], -64 * np.log(2.0), rtol=1e-6)
    assert result["bits_per_dimension"] == pytest.approx(1.0)
    np.testing.assert_allclose([result["rate"], result["monte_carlo_error"]], 0.0, atol=1e-4)
    assert result["active_units"] == [0]
    assert "the decoder ignores z: a rate of 0.000 nats, 0 active units" in result["warning"]
    # What it advises is of this run.
    assert result["warning"].endswith("--beta-warmup, --free-bits or --most-distortion.")
    tight = changed(run.config, "objective", bound="iwae", estimator="total", num_samples=5)
    result = measured(dataclasses.replace(other, config=tight), state, LIKELIHOOD)
    assert result["warning"].endswith("--autoregressive-layers).")
    assert "warning" not in measured(run, state, LIKELIHOOD)


def test_what_a_run_made_in_python_is_told_is_no_flag() -> None:
    config = changed(experiment(), "train", seed=0)
    told = {config.system: ("--autoregressive-layers", "--learning-rate"), IN_PYTHON: ("a smaller network", "optax")}
    for system, words in told.items():
        of = dataclasses.replace(config, system=system)
        warnings = likelihood._unused_code(0.0, [0], of), likelihood._unused_code(5.0, [0], of)
        assert all(word in str(warning) for word, warning in zip(words, warnings, strict=True))
        assert ("--" in "".join(map(str, warnings))) == (system != IN_PYTHON)


@pytest.mark.parametrize("k", [10, 24, 25, 100])
def test_of_few_samples_nobody_knows_whether_they_are_enough(k: int) -> None:
    log_w = 0.3 * jax.random.normal(jax.random.key(0), (300, k))
    told = summary(weighed(log_w), k)["certainty"]
    assert told.startswith("± 0.0") == (k >= 25)
    assert ("not known of fewer than 25 samples" in told) == (k < 25)


def test_where_x_has_one_code_nothing_is_said_of_draws(tmp_path) -> None:
    run = prepare_run(KINDS["indices"][0], tmp_path)
    subject = subject_of(run, run.initial())
    assert CERTAIN_LIKELIHOOD.answers(subject)
    result = measured(run, run.initial(), CERTAIN_LIKELIHOOD)
    assert "certainty" not in result
    shown = io.StringIO()
    Console(file=shown, width=120).print(evaluation_table(subject, result, [CERTAIN_LIKELIHOOD]))
    assert "log p(x, z) at the one code z of x" in shown.getvalue()
    assert not any(words in shown.getvalue() for words in ("importance-weighted", "Pareto", "effective samples"))
    card = model_card(subject, result, k=5, version="1")
    assert "- log p(x, z) at the one code z of x, a lower bound of log p(x): -" in card
    assert "importance-weighted" not in card


@pytest.mark.parametrize(("kind", "sizes"), [("vae", [2]), ("layers", [2, 2]), ("choices", [8]), ("indices", None)])
def test_units_are_of_codes_that_are_numbers_not_names(kind: str, sizes: list[int] | None, tmp_path) -> None:
    run = prepare_run(KINDS[kind][0], tmp_path)
    result = measured(run, run.initial(), LIKELIHOOD)
    assert result.get("latent_size") == sizes
    assert ("active_units" in result) == (sizes is not None)
    assert "0 active units" not in result.get("warning", "") or sizes


@pytest.mark.parametrize(
    ("stand_in", "grows", "ends_at"), [(False, True, 640), (False, False, 40), (True, True, 40), (True, False, 40)]
)
def test_k_grows_where_it_is_not_enough_but_of_a_stand_in(
    stand_in: bool, grows: bool, ends_at: int, digits, monkeypatch
) -> None:
    run, state = digits
    # Never enough.
    monkeypatch.setattr("vae_jax.measure.likelihood._FEW", -1.0)
    # Pareto k is not known of so few as ten.
    config = changed(changed(run.config, "data", stand_in=stand_in), "evaluate", evaluation_samples=40)
    run = dataclasses.replace(run, config=config)
    estimates, k = enough_samples(subject_of(run, state), Options(grows=grows))
    assert k == ends_at
    assert np.isfinite(estimates.value).all()


@pytest.mark.parametrize(
    ("parts", "size", "variance"),
    [
        ({}, 2, 1.0),
        ({"posterior": "sphere", "latent_size": 50}, 50, 0.02),
        ({"posterior": "concrete", "latent_size": 1, "classes": 128}, 128, 127 / 128**2),
    ],
)
def test_a_unit_is_active_by_its_share_of_what_the_prior_varies(
    parts: dict[str, Any], size: int, variance: float, tmp_path, monkeypatch
) -> None:
    config = changed(changed(experiment(), "model", **parts), "objective", bound="elbo", estimator="analytic")
    run = prepare_run(config, tmp_path)
    subject = subject_of(run, run.initial())
    assert likelihood._prior_variance(subject) == pytest.approx(variance)
    # Codes that are spread as the prior is: every unit counts, however many there are.
    spread = np.sqrt(variance) * np.random.default_rng(0).standard_normal((len(subject.examples), size))
    monkeypatch.setattr(likelihood, "latent_means", lambda *arguments: spread)
    assert measured(run, run.initial(), LIKELIHOOD)["active_units"] == [size]
    monkeypatch.setattr(likelihood, "latent_means", lambda *arguments: 0.05 * spread)
    assert measured(run, run.initial(), LIKELIHOOD)["active_units"] == [0]
