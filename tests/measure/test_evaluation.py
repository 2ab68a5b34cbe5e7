import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.runs import changed, console, measured
from vae_jax.core.errors import RequestError
from vae_jax.measure.constant import CONSTANT
from vae_jax.measure.evaluation import own_evaluation, write_evaluation
from vae_jax.measure.likelihood import LIKELIHOOD
from vae_jax.measure.measurement import Measurement
from vae_jax.measure.subject import subject_of


def test_what_was_found_before_stays(digits) -> None:
    run, state = digits
    subject, result = subject_of(run, state), measured(run, state, LIKELIHOOD)
    write_evaluation(subject, result | {"bdmc_gap": 0.5})
    path = write_evaluation(subject, result)
    assert json.loads(path.read_text())["bdmc_gap"] == 0.5
    write_evaluation(subject, result | {"measured": "something else"})
    assert "bdmc_gap" not in json.loads(path.read_text())


def test_what_is_not_known_is_null(digits, tmp_path) -> None:
    run, state = digits
    result = measured(changed_k(run, 1), state, LIKELIHOOD)
    text = write_evaluation(subject_of(run, state), result).read_text()
    assert json.loads(text)["monte_carlo_error"] is None
    assert json.loads(text)["fraction_pareto_k_above_0.7"] is None


def changed_k(run, k: int):
    return dataclasses.replace(run, config=changed(run.config, "evaluate", evaluation_samples=k))


def test_what_no_longer_holds_goes(digits) -> None:
    run, state = digits
    subject, result = subject_of(run, state), measured(run, state, LIKELIHOOD)
    path = write_evaluation(subject, result | {"worse_than_constant": "it was", "warning": "once"})
    write_evaluation(subject, result | {"ais": 1.0})
    assert json.loads(path.read_text()).keys() == (result | {"ais": 1.0}).keys()
    # The numbers of one seed do not stand under another.
    write_evaluation(subject, result | {"evaluation_seed": 1})
    assert "ais" not in json.loads(path.read_text())


def test_what_was_measured_of_other_parameters_is_not_of_these(digits, tmp_path) -> None:
    run, state = digits
    run = dataclasses.replace(run, directory=tmp_path)
    subject, result = subject_of(run, state), measured(run, state, LIKELIHOOD)
    assert own_evaluation(subject) == {}
    write_evaluation(subject, result)
    assert own_evaluation(subject)["elbo"] == result["elbo"]
    later = state._replace(best_epoch=state.best_epoch + 1)
    assert own_evaluation(subject_of(run, later)) == {}


def test_a_measurement_that_the_examples_do_not_suit_costs_no_other(digits) -> None:
    run, state = digits

    def fails(subject, options, found):
        raise ValueError("too few")

    def refuses(subject, options, found):
        raise RequestError("ask otherwise")

    odd = Measurement("an odd one", lambda subject: True, fails)
    with pytest.warns(UserWarning, match="an odd one was not measured: too few"):
        result = measured(run, state, LIKELIHOOD, odd, CONSTANT)
    assert {"log_marginal", "constant_log_prob"} <= set(result)
    for needed in (odd._replace(name=LIKELIHOOD.name), odd._replace(measure=refuses)):
        with pytest.raises(ValueError, match="too few|ask otherwise"):
            measured(run, state, needed)


def test_a_model_of_ones_own_is_known_again_by_what_it_does(tmp_path) -> None:
    def vae(scale: float) -> vj.VAE:
        return vj.VAE(
            lambda params, x: vj.DiagNormal(x @ params, jnp.ones(2)),
            lambda params, z: vj.DiagNormal(params @ z, jnp.full(3, scale)),
            lambda params: vj.standard_normal(2),
        )

    x, params = np.random.default_rng(0).normal(size=(60, 3)), jnp.ones((3, 2))
    vj.fit(vae(1.0), x, params=params, directory=tmp_path / "run", epochs=1, batch_size=8, console=console())
    same, other = (vj.open_run(tmp_path / "run", vae(scale), x, params=params) for scale in (1.0, 2.0))
    before = same.evaluate(k=5)
    assert same.evaluate(k=5) == before
    after = other.evaluate(k=5)
    (tmp_path / "run" / "evaluation.npz").unlink()
    assert other.evaluate(k=5) == after
    assert after["log_marginal"] != before["log_marginal"]
