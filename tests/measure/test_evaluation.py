import dataclasses
import json

import jax

from tests.runs import changed, measured
from vae_jax.measure.evaluation import own_evaluation, write_evaluation
from vae_jax.measure.likelihood import LIKELIHOOD
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
    later = state._replace(best_params=jax.tree.map(lambda leaf: leaf + 1.0, state.best_params))
    assert own_evaluation(subject_of(run, later)) == {}
