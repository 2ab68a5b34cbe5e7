"""One step of training, number by number, with what is not finite."""

from collections.abc import Mapping

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from vae_jax.train.nonfinite import Examined


def step_report(examined: Examined) -> Group:
    """The loss, the metrics and the terms of a step, and the largest absolute value of every array in it."""
    found = "all of it is finite" if examined.finite else f"not finite, in the order of computing: {examined.summary}"
    rows = ", ".join(map(str, examined.rows[:8])) + (", …" if len(examined.rows) > 8 else "")
    return Group(
        Text(f"step {examined.step}: {found}", style="green" if examined.finite else "red"),
        Text(f"{len(examined.rows)} rows of the training split: {rows}", style="dim"),
        _table("loss and metrics", {"loss": examined.loss, **examined.metrics}),
        *([_table("nats, mean of the batch", examined.terms)] if examined.terms else []),
        _table("largest absolute value of the batch", examined.batch),
        _table("of the parameters", examined.params),
        _table("of the gradient", examined.gradient),
    )


def _table(title: str, values: Mapping[str, float]) -> Table:
    table = Table(title=Text(title, style="bold"), title_justify="left", show_header=False, box=None)
    table.add_column(min_width=21)
    table.add_column(justify="right")
    for name, value in values.items():
        table.add_row(name, f"{value:.6g}", style=None if np.isfinite(value) else "red")
    return table
