"""The table of runs side by side, with error bars over the seeds."""

import math
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from vae_jax.evaluate.statistics import standard_error
from vae_jax.measure.comparison import Measured, difference, why_not_paired


def _plus_minus(value: float, error: float) -> str:
    return f"{value:.2f}" if math.isnan(error) else f"{value:.2f} ± {error:.2f}"


def comparison(rows: dict[str, list[Measured]]) -> Group:
    """The table, a row per config with error bars over seeds, what each row is, and the differences from the first."""
    title = Text("nats per test example; ± after a number is its standard error over seeds")
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("", no_wrap=True, min_width=2)
    for name in ("seeds", "log p(x)", "± examples", "k", "ELBO", "active", "epoch", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for letter, runs in zip(_letters(len(rows)), rows.values(), strict=True):
        results = [run.result for run in runs]

        def mean(name: str, results: Any = results) -> str:
            values = np.asarray([result[name] for result in results])
            return _plus_minus(float(values.mean()), float(standard_error(values)))

        # Codes that are names have none.
        known = all("active_units" in result for result in results)
        units = zip(*(result["active_units"] for result in results), strict=True) if known else ()
        table.add_row(
            letter,
            str(len(runs)),
            mean("log_marginal"),
            f"{np.mean([result['test_examples_error'] for result in results]):.2f}",
            "/".join(sorted({str(result["k"]) for result in results})),
            mean("elbo"),
            "+".join(f"{np.mean(layer):.0f}" for layer in units),
            "/".join(sorted({str(result["parameters_of_epoch"]) for result in results})),
            f"{np.mean([result['training_seconds'] for result in results]):.0f}",
        )
    base, *others = rows.values()
    first, *letters = _letters(len(rows))
    names = [Text(f"{letter}: {label}") for letter, label in zip((first, *letters), rows, strict=True)]
    names += [
        Text(f"{letter} is worse than a constant, one marginal for each element")
        for letter, runs in zip((first, *letters), rows.values(), strict=True)
        if any("worse_than_constant" in run.result for run in runs)
    ]
    lines = [Text(f"{letter} - {first}: {_in_words(runs, base)}") for letter, runs in zip(letters, others, strict=True)]
    return Group(table, *names, *lines)


def _letters(count: int) -> list[str]:
    """Short names of rows, whose labels would not fit a column: A, B, … or numbers where letters do not suffice."""
    return [chr(ord("A") + i) for i in range(count)] if count <= 26 else [str(i + 1) for i in range(count)]


def _in_words(row: list[Measured], first: list[Measured]) -> str:
    apart = difference(row, first)
    if apart is None:
        return f"not paired, since {why_not_paired(row, first)}"
    seeds = "one seed" if apart.num_seeds == 1 else f"± {apart.seeds_error:.3f} over {apart.num_seeds} seeds"
    return f"{apart.value:+.3f} nats, {seeds}, ± {apart.examples_error:.3f} over examples"
