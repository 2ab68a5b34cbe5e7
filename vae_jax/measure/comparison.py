"""Runs side by side: runs that differ in their seed alone are one row, and rows are paired image by image."""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.config.fields import Experiment, sections
from vae_jax.core.arrays import read_arrays
from vae_jax.core.errors import RequestError
from vae_jax.data import is_embedded
from vae_jax.evaluate.statistics import standard_error
from vae_jax.train.files import MADE, check_run, evaluation_file, read_config, read_evaluation, read_json, read_metrics
from vae_jax.train.outline import read_outline

# Two log p(x) may be subtracted, image by image, only where these agree.
_PROTOCOL = (
    *("k", "evaluated_examples", "evaluation_seed", "dataset", "binarisation", "levels", "data_seed", "likelihood"),
    *("shape", "grammar", "density_of"),
)

# Of what a run is made of: with what it was made says nothing of the model, and its numbers depend on the seed.
_NOT_MADE = ("checksum", "versions", "numbers")

# What the table shows of every run.
_SHOWN = ("log_marginal", "test_examples_error", "elbo", "parameters_of_epoch", "training_seconds")


class Measured(NamedTuple):
    """A run with its numbers: `log_marginal` is `[n]`, one of every test example."""

    directory: Path
    config: Experiment
    result: dict[str, Any]
    log_marginal: np.ndarray
    data: str
    """What the test examples are, where the run has kept it."""

    @property
    def seed(self) -> int:
        """Training seed."""
        return self.config.train.seed


class Difference(NamedTuple):
    """Mean log p(x) of a row minus that of the first, nats, over the seeds that both have.

    `seeds_error`: its standard error over the n seeds (NaN for one). `examples_error`: over the test examples, of the
    difference averaged over the seeds.
    """

    value: float
    seeds_error: float
    examples_error: float
    num_seeds: int


def read_run(directory: Path) -> Measured:
    """A run that was evaluated. RequestError, with the command that does it, if it was not."""
    check_run(directory)
    config = read_config(directory)
    numbers, estimates = evaluation_file(directory), evaluation_file(directory, ending=".npz")
    result = read_evaluation(directory)
    unknown = [name for name in _SHOWN if name not in result]
    if result and "log_marginal" in unknown:
        raise RequestError(
            f"{directory} has no log p(x) to compare: its system, {config.system}, gives none with this posterior. "
            f"What was measured is in {numbers}."
        )
    if not result or not estimates.is_file():
        raise RequestError(f"{directory} was not evaluated yet. Do it with: vae-jax evaluate {directory}")
    if unknown:
        raise RequestError(
            f"evaluation.json of {directory} lacks {', '.join(unknown)}: it is of another version. Measure again: "
            f"vae-jax evaluate {directory}"
        )
    value = np.asarray(read_arrays(estimates)["value"], np.float64)
    if len(value) != result["evaluated_examples"] or not math.isclose(
        value.mean(), result["log_marginal"], rel_tol=1e-6
    ):
        raise RequestError(
            f"evaluation.json and evaluation.npz of {directory} are of two evaluations, the later of them unfinished. "
            f"Measure again: vae-jax evaluate {directory}"
        )
    return Measured(directory, config, result, value, _data_of(directory))


def _data_of(directory: Path) -> str:
    """Digests of the test examples, and the families of their columns, by which their probabilities are numbers of one
    kind; "" where nothing is known. Data that are made here, and may differ in a last digit, are known by their names.
    """
    outline = read_outline(directory)
    if outline is None or is_embedded(outline["name"]):
        return ""
    columns = [(name, family) for name, family, _ in outline.get("columns") or ()]
    return f"{[outline['digests'].get(f'test {part}') for part in ('x', 'condition')]} {columns}"


def grouped(runs: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Runs by what their configs differ in, the seed apart: `{"estimator=dreg": [...], "estimator=total": [...]}`."""
    fields = [_flat(run.config) for run in runs]
    # What was made in Python is in no config. Runs of one model have the name of the first.
    first: dict[str, str] = {}
    for run, flat in zip(runs, fields, strict=True):
        flat["run"] = first.setdefault(_made(run.directory), str(run.directory))
    differing = [name for name in fields[0] if len({str(flat[name]) for flat in fields}) > 1]
    rows: dict[str, list[Measured]] = {}
    for run, flat in zip(runs, fields, strict=True):
        label = ", ".join(f"{name}={flat[name]}" for name in differing) or str(runs[0].directory)
        rows.setdefault(label, []).append(run)
    for label, members in rows.items():
        seeds = [member.seed for member in members]
        if len(set(seeds)) < len(seeds):
            names = " and ".join(str(member.directory) for member in members)
            raise RequestError(
                f"{names} have the same config and seed ({label}), so they count once: name one of them."
            )
        if not _agree(members):
            names = " and ".join(str(member.directory) for member in members)
            raise RequestError(
                f"{names} differ in their seed alone ({label}), but their evaluations do not agree in all of "
                f"{', '.join(_PROTOCOL)} and the test examples: evaluate them again in the same way."
            )
    return rows


def _made(directory: Path) -> str:
    """What a run of `vj.fit` is made of, but for the numbers that it began with; "" of any other."""
    if not (directory / MADE).is_file():
        return ""
    made = read_json(directory / MADE, "Without that file the run is compared by its config.")
    return str({name: re.sub("#[0-9a-f]{8}", "", str(text)) for name, text in made.items() if name not in _NOT_MADE})


def _protocol(run: Measured) -> tuple[str, ...]:
    return (*(str(run.result.get(name)) for name in _PROTOCOL), _number(run))


def _number(run: Measured) -> str:
    """What a run's log p(x) is: where x has one code, nothing was drawn."""
    return "importance-weighted" if "certainty" in run.result else "log p(x, z) at one code"


def _agree(runs: Sequence[Measured]) -> bool:
    """Whether the numbers of runs are of one protocol, and of the same examples as far as it is known."""
    return len({_protocol(run) for run in runs}) == 1 and len({run.data for run in runs} - {""}) <= 1


def _flat(config: Experiment) -> dict[str, Any]:
    """Every field that makes two runs different experiments, by its short name."""
    flat: dict[str, Any] = {"system": config.system}
    for part in sections(config).values():
        flat |= dataclasses.asdict(part)
    # None of these changes what is learned or measured.
    for name in ("seed", "data_dir", "save_seconds", "chunk_seconds", "snapshots", "measurements"):
        del flat[name]
    # Each seed may have begun with a run of its own.
    flat["start_from"] = "none" if flat["start_from"] is None else "a run"
    return flat


def difference(row: Sequence[Measured], first: Sequence[Measured]) -> Difference | None:
    """The paired difference of two rows, or None where their protocols differ or they share no seed."""
    both = sorted({run.seed for run in row} & {run.seed for run in first})
    if not both or not _agree((*row, *first)):
        return None
    by_seed = [{run.seed: run.log_marginal for run in runs} for runs in (row, first)]
    paired = np.stack([by_seed[0][seed] - by_seed[1][seed] for seed in both])
    return Difference(
        value=float(paired.mean()),
        seeds_error=float(standard_error(paired.mean(axis=1))),
        examples_error=float(standard_error(paired.mean(axis=0))),
        num_seeds=len(both),
    )


def why_not_paired(row: Sequence[Measured], first: Sequence[Measured]) -> str:
    """What keeps two rows from being subtracted, of those that have no difference."""
    runs = (*row, *first)
    found = {name: sorted({str(run.result.get(name)) for run in runs}) for name in _PROTOCOL}
    reasons = [f"{name} is {' and '.join(values)}" for name, values in found.items() if len(values) > 1]
    if len(numbers := {_number(run) for run in runs}) > 1:
        reasons.append(f"the number is {' and '.join(sorted(numbers))}")
    if len({run.data for run in runs} - {""}) > 1:
        reasons.append("the test examples differ")
    return ", ".join(reasons) or "they share no seed"


def curves(rows: dict[str, list[Measured]]) -> dict[str, list[list[tuple[float, float, float]]]]:
    """For every row and run, `(examples seen, training bound, validation bound)` after each epoch; NaN where none."""

    def curve(run: Measured) -> list[tuple[float, float, float]]:
        batch = run.config.train.batch_size
        return [
            (line["step"] * batch, line["train"]["bound"], line["validation"].get("bound", math.nan))
            for line in read_metrics(run.directory)
            if "bound" in line["train"]
        ]

    for run in (run for runs in rows.values() for run in runs):
        if not curve(run):
            raise RequestError(f"{run.directory} has no bound to draw, since its loss is none: leave --picture out.")
    return {label: [curve(run) for run in runs] for label, runs in rows.items()}
