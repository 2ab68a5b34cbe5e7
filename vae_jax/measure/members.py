"""The members of a sweep, measured as the runs that they are, and their means over the seeds of a point."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from vae_jax.core.errors import RequestError
from vae_jax.core.files import write_json
from vae_jax.evaluate.statistics import standard_error
from vae_jax.measure.evaluation import evaluate, first_measurements, write_evaluation
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import Subject, progress_of
from vae_jax.train.files import evaluation_file
from vae_jax.train.grid import point_name
from vae_jax.train.loop import RunState
from vae_jax.train.progress import bar
from vae_jax.train.sweep import Sweep, member_state

# Rows of a sweep's table: name, field, format.
Scores = Sequence[tuple[str, str, str]]


def scores_of(sweep: Sweep) -> Scores:
    """What the members are compared by."""
    scores = (score for measurement in first_measurements(sweep.config) for score in measurement.scores)
    return list(dict.fromkeys(scores))


def member_subjects(sweep: Sweep, state: RunState) -> list[Subject]:
    """Every member as what is measured; they share one model, whose parameters are numbers and parameters of one."""
    system, values = sweep.shared_system(), sweep.values()

    def subject(number: int) -> Subject:
        run, own = sweep.member_run(number, system), member_state(state, number)
        numbers = jax.tree.map(lambda leaf: leaf[number], values)
        return Subject(run, (numbers, own.best_params), progress_of(run, own), None, own.best_params)

    return [subject(number) for number in range(len(sweep.members))]


def measure_members(sweep: Sweep, state: RunState, console: Console) -> list[dict[str, Any]]:
    """The numbers of every member, those of its own evaluation, which is left in its directory.

    One compiled program serves all. A member that diverged before it had parameters has no numbers; `not_measured` says
    why where a measurement failed.
    """
    measurements = first_measurements(sweep.config)
    results = []
    with bar(console, "measuring", len(sweep.members)) as show:
        for number, subject in enumerate(member_subjects(sweep, state)):
            result = _described(sweep, state, number)
            if result["parameters_of_epoch"]:
                try:
                    evaluation = evaluate(subject, measurements, Options())
                    write_evaluation(subject, evaluation)
                    protocol = subject.protocol(seed=0)
                    result |= {name: value for name, value in evaluation.items() if name not in protocol}
                except RequestError as error:
                    result["not_measured"] = str(error)
            results.append(result)
            show(number + 1)
    return results


def _described(sweep: Sweep, state: RunState, number: int) -> dict[str, Any]:
    name, config = sweep.members[number]
    point = sweep.points[number // sweep.seeds]
    return {
        "member": name,
        "seed": config.train.seed,
        **{field: value for (_, field), value in point.items()},
        "validation_loss": float(state.best_loss[number]),
        "parameters_of_epoch": int(state.best_epoch[number]),
    }


def write_results(sweep: Sweep, results: list[dict[str, Any]]) -> Path:
    """SWEEP/evaluation.json: the protocol and every member's numbers; null is what is not known."""
    path = evaluation_file(sweep.directory)
    unit = {"unit": "nats per example, mean over the test split"}
    write_json(path, {**unit, **sweep.dataset.protocol(), "members": results})
    return path


def by_point(sweep: Sweep, results: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The results of the seeds of each point of the grid."""
    return {
        point_name(point): results[number * sweep.seeds : (number + 1) * sweep.seeds]
        for number, point in enumerate(sweep.points)
    }


def moments(results: list[dict[str, Any]], field: str) -> tuple[float, float] | None:
    """Mean and standard error over seeds; None where a seed has no such number. Numbers of several layers are added."""
    values = np.asarray([np.sum(result.get(field, math.nan)) for result in results], np.float64)
    if not np.isfinite(values).all():
        return None
    return float(values.mean()), float(standard_error(values))


def median_member(results: list[dict[str, Any]]) -> int:
    """Which of some members is in the middle by MIG, or by its validation loss where there is none."""
    field = "validation_loss" if any(result.get("mig") is None for result in results) else "mig"
    order = sorted(range(len(results)), key=lambda i: results[i][field])
    return order[(len(order) - 1) // 2]
