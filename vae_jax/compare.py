"""Runs side by side: runs that differ in their seed alone are one row, with an error bar over the seeds."""

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from vae_jax.config import ConfigError, Experiment
from vae_jax.config_files import from_json
from vae_jax.train.loop import read_metrics

# Two log p(x) may be subtracted, image by image, only where these agree.
_PROTOCOL = (
    *("k", "evaluated_examples", "evaluation_seed", "dataset", "binarisation", "levels", "data_seed", "likelihood"),
    *("shape", "grammar", "density_of"),
)

# What the table shows of a run.
_SHOWN = ("log_marginal", "test_examples_error", "elbo", "active_units", "parameters_of_epoch", "training_seconds")


class Measured(NamedTuple):
    """A run with its numbers: `log_marginal` is `[n]`, one of every test example."""

    directory: Path
    config: Experiment
    result: dict[str, Any]
    log_marginal: np.ndarray

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
    """A run that was evaluated. ConfigError, with the command that does it, if it was not."""
    if not (directory / "config.json").is_file():
        raise ConfigError(f"{directory} holds no run (no config.json).")
    evaluated = (directory / "evaluation.json").is_file()
    result = json.loads((directory / "evaluation.json").read_text()) if evaluated else {}
    config = from_json((directory / "config.json").read_text())
    if evaluated and "log_marginal" not in result:
        raise ConfigError(
            f"{directory} has no log p(x) to compare: its system, {config.system}, gives none with this posterior. "
            f"What was measured is in {directory / 'evaluation.json'}."
        )
    if not evaluated or not (directory / "evaluation.npz").is_file():
        raise ConfigError(f"{directory} was not evaluated yet. Do it with: vae-jax evaluate {directory}")
    if unknown := [name for name in _SHOWN if name not in result]:
        raise ConfigError(
            f"evaluation.json of {directory} lacks {', '.join(unknown)}: it is of another version. Measure again: "
            f"vae-jax evaluate {directory}"
        )
    with np.load(directory / "evaluation.npz", allow_pickle=False) as file:
        value = np.asarray(file["value"], np.float64)
    if len(value) != result["evaluated_examples"] or not math.isclose(
        value.mean(), result["log_marginal"], rel_tol=1e-6
    ):
        raise ConfigError(
            f"evaluation.json and evaluation.npz of {directory} are of two evaluations, the later of them unfinished. "
            f"Measure again: vae-jax evaluate {directory}"
        )
    return Measured(directory, config, result, value)


def grouped(runs: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Runs by what their configs differ in, the seed apart: `{"estimator=dreg": [...], "estimator=total": [...]}`."""
    fields = [_flat(run.config) for run in runs]
    differing = [name for name in fields[0] if len({str(one[name]) for one in fields}) > 1]
    rows: dict[str, list[Measured]] = {}
    for run, one in zip(runs, fields, strict=True):
        label = ", ".join(f"{name}={one[name]}" for name in differing) or str(runs[0].directory)
        rows.setdefault(label, []).append(run)
    for label, members in rows.items():
        seeds = [member.seed for member in members]
        if len(set(seeds)) < len(seeds):
            names = " and ".join(str(member.directory) for member in members)
            raise ConfigError(f"{names} have the same config and seed ({label}), so they count once: name one of them.")
        if len({_protocol(member) for member in members}) > 1:
            names = " and ".join(str(member.directory) for member in members)
            raise ConfigError(
                f"{names} differ in their seed alone ({label}), but their evaluations do not agree in all of "
                f"{', '.join(_PROTOCOL)}: evaluate them again in the same way."
            )
    return rows


def _protocol(run: Measured) -> tuple[str, ...]:
    return tuple(str(run.result.get(name)) for name in _PROTOCOL)


def _flat(config: Experiment) -> dict[str, Any]:
    """Every field that makes two runs different experiments, by its short name."""
    flat: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        flat |= value if isinstance(value, dict) else {name: value}
    # None of these changes what is learned or measured.
    for name in ("description", "seed", "data_dir", "save_seconds", "chunk_seconds", "snapshots"):
        del flat[name]
    return flat


def difference(row: Sequence[Measured], first: Sequence[Measured]) -> Difference | None:
    """The paired difference of two rows, or None where their protocols differ or they share no seed."""
    both = sorted({run.seed for run in row} & {run.seed for run in first})
    if not both or len({_protocol(run) for run in (*row, *first)}) > 1:
        return None
    by_seed = [{run.seed: run.log_marginal for run in runs} for runs in (row, first)]
    paired = np.stack([by_seed[0][seed] - by_seed[1][seed] for seed in both])
    return Difference(
        value=float(paired.mean()),
        seeds_error=_error(paired.mean(axis=1)),
        examples_error=_error(paired.mean(axis=0)),
        num_seeds=len(both),
    )


def _error(values: Any) -> float:
    """Standard error of a mean; NaN for one value."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def _plus_minus(value: float, error: float) -> str:
    return f"{value:.2f}" if math.isnan(error) else f"{value:.2f} ± {error:.2f}"


def comparison(rows: dict[str, list[Measured]]) -> Group:
    """The table, a row per config with error bars over seeds, what each row is, and the differences from the first."""
    title = Text("nats per test example; ± after a number is its standard error over seeds")
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("")
    for name in ("seeds", "log p(x)", "± images", "k", "ELBO", "active", "epoch", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for letter, runs in zip(_letters(len(rows)), rows.values(), strict=True):
        results = [run.result for run in runs]

        def mean(name: str, results: Any = results) -> str:
            values = [result[name] for result in results]
            return _plus_minus(float(np.mean(values)), _error(values))

        table.add_row(
            letter,
            str(len(runs)),
            mean("log_marginal"),
            f"{np.mean([result['test_examples_error'] for result in results]):.2f}",
            "/".join(sorted({str(result["k"]) for result in results})),
            mean("elbo"),
            "+".join(f"{np.mean(layer):.0f}" for layer in zip(*(r["active_units"] for r in results), strict=True)),
            "/".join(sorted({str(result["parameters_of_epoch"]) for result in results})),
            f"{np.mean([result['training_seconds'] for result in results]):.0f}",
        )
    base, *others = rows.values()
    first, *letters = _letters(len(rows))
    names = [Text(f"{letter}: {label}") for letter, label in zip((first, *letters), rows, strict=True)]
    lines = [
        Text(f"{letter} - {first}: {_said(difference(runs, base))}")
        for letter, runs in zip(letters, others, strict=True)
    ]
    return Group(table, *names, *lines)


def _letters(count: int) -> list[str]:
    """Short names of rows, whose labels would not fit a column: A, B, … or numbers where letters do not suffice."""
    return [chr(ord("A") + i) for i in range(count)] if count <= 26 else [str(i + 1) for i in range(count)]


def _said(apart: Difference | None) -> str:
    if apart is None:
        return "not paired, since the seeds or the protocols differ"
    seeds = "one seed" if apart.num_seeds == 1 else f"± {apart.seeds_error:.3f} over {apart.num_seeds} seeds"
    return f"{apart.value:+.3f} nats, {seeds}, ± {apart.examples_error:.3f} over images"


def curves(rows: dict[str, list[Measured]]) -> dict[str, list[list[tuple[float, float, float]]]]:
    """For every row and run, `(examples seen, training bound, validation bound)` after each epoch; NaN where none."""

    def curve(run: Measured) -> list[tuple[float, float, float]]:
        batch = run.config.train.batch_size
        return [
            (line["step"] * batch, line["train"]["bound"], line["validation"].get("bound", math.nan))
            for line in read_metrics(run.directory / "metrics.jsonl")
            if "bound" in line["train"]
        ]

    return {label: [curve(run) for run in runs] for label, runs in rows.items()}
