"""The table of an evaluation: every number with what it means."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from vae_jax.measure.measurement import Measurement, Row, Section
from vae_jax.measure.subject import Subject
from vae_jax.report.template import fill

_PROTOCOL: Section = (
    "protocol",
    (
        ("data", "{dataset}", "binarisation {binarisation}, data seed {data_seed}"),
        ("examples", "{train_examples} / {validation_examples} / {test_examples}", "training, validation, test"),
        (
            "training",
            "step {step} of {num_steps}",
            "parameters of epoch {parameters_of_epoch}, {training_seconds:.0f} s, seed {train_seed}",
        ),
        ("began with", "{start_from}", "a run, whose parameters were the first of this one"),
        ("evaluation seed", "{evaluation_seed}", ""),
    ),
)


def evaluation_table(subject: Subject, result: dict[str, Any], measurements: Sequence[Measurement]) -> Group:
    """All numbers of an evaluation with what each means; what was not measured is left out."""
    parts: list[Any] = [
        Text(str(subject.run.directory), style="bold"),
        *tables(sections_of(subject, measurements), result),
    ]
    warning = fill("warning: {warning}", result)
    return Group(*parts, *([Text(warning, style="yellow")] if warning else []))


def sections_of(subject: Subject, measurements: Sequence[Measurement]) -> list[Section]:
    """The sections of a subject's table, and how it was trained and measured."""
    return [
        *(section for measurement in measurements if measurement.answers(subject) for section in measurement.rows),
        _PROTOCOL,
    ]


def filled(sections: Iterable[Section], values: dict[str, Any]) -> dict[str, list[Row]]:
    """The rows of each title, written out, in the order in which the titles come; what was not measured is left out."""
    rows: dict[str, list[Row]] = {}
    for title, some in sections:
        for name, value, meaning in some:
            texts = fill(value, values), fill(meaning, values)
            if texts[0] is not None and texts[1] is not None:
                rows.setdefault(title, []).append((name, texts[0], texts[1]))
    return rows


def tables(sections: Iterable[Section], values: dict[str, Any]) -> list[Table]:
    """A table for each title of which something was measured, in the order in which the titles come."""
    parts = []
    for title, some in filled(sections, values).items():
        grid = Table(title=Text(title, style="bold"), title_justify="left", show_header=False, box=None)
        grid.add_column(min_width=21)
        grid.add_column(min_width=17)
        grid.add_column(style="dim")
        for row in some:
            grid.add_row(*row)
        parts.append(grid)
    return parts
