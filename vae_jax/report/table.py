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
        ("evaluation seed", "{evaluation_seed}", ""),
    ),
)


def evaluation_table(subject: Subject, result: dict[str, Any], measurements: Sequence[Measurement]) -> Group:
    """All numbers of an evaluation with what each means; what was not measured is left out."""
    sections = [section for measurement in measurements if measurement.answers(subject) for section in measurement.rows]
    parts: list[Any] = [Text(str(subject.run.directory), style="bold"), *tables([*sections, _PROTOCOL], result)]
    warning = fill("warning: {warning}", result)
    return Group(*parts, *([Text(warning, style="yellow")] if warning else []))


def tables(sections: Iterable[Section], values: dict[str, Any]) -> list[Table]:
    """A table for each title of which something was measured, in the order in which the titles come."""
    rows: dict[str, list[Row]] = {}
    for title, some in sections:
        rows.setdefault(title, []).extend(some)
    parts = []
    for title, some in rows.items():
        grid = Table(title=Text(title, style="bold"), title_justify="left", show_header=False, box=None)
        grid.add_column(min_width=21)
        grid.add_column(min_width=17)
        grid.add_column(style="dim")
        for name, value, meaning in some:
            texts = [fill(template, values) for template in (value, meaning)]
            if None not in texts:
                grid.add_row(name, *texts)
        if grid.row_count:
            parts.append(grid)
    return parts
