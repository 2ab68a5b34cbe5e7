import dataclasses
import json

from tests.runs import changed, measured
from vae_jax.measure.evaluation import write_evaluation
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
