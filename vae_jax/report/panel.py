"""The panel at the end of training: what came of it, in a few lines."""

from collections.abc import Sequence
from typing import Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vae_jax.measure.measurement import Measurement
from vae_jax.measure.subject import Subject
from vae_jax.report.template import fill
from vae_jax.train.files import PICTURES


def panel(subject: Subject, result: dict[str, Any], measurements: Sequence[Measurement]) -> Panel:
    """The summary of what was measured: every number with its unit, its k and its error."""
    run = subject.run
    lines = [line for measurement in measurements if measurement.answers(subject) for line in measurement.summary]
    epochs = result["step"] // run.steps_per_epoch
    took = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    values = result | {"took": took, "pictures": run.directory / PICTURES}
    training = [
        ("data", "{dataset}, binarisation {binarisation}"),
        ("training", "{training_seconds:.1f} s, {took}, parameters of epoch {parameters_of_epoch}"),
        ("began with", "the parameters of {start_from}"),
        ("pictures", "{pictures}"),
    ]
    # What is wrong with a run is said last, where it is seen.
    warnings = [line for line in lines if line[0] == "warning"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    for name, template in (*(line for line in lines if line not in warnings), *training, *warnings):
        title, text = fill(name, values), fill(template, values)
        if title is not None and text is not None:
            table.add_row(title, text)
    return Panel(table, title=Text(str(run.directory)), title_align="left", expand=False)
