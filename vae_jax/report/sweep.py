"""The table of a sweep: a column for each point of its grid, a few at a time."""

import math
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from vae_jax.measure.members import by_point, moments, scores_of
from vae_jax.report.template import fill
from vae_jax.train.sweep import Sweep

# Points of the grid in one table, which a terminal has room for.
_ABREAST = 3


def sweep_table(sweep: Sweep, results: list[dict[str, Any]]) -> Group:
    """Means over the seeds of each point, with standard errors; and the members that could not be measured."""
    caption = f"means over {sweep.seeds} seeds ± standard error; nats per test example"
    parts: list[Any] = [Text(str(sweep.directory), style="bold"), Text(caption)]
    points = list(by_point(sweep, results).items())
    for start in range(0, len(points), _ABREAST):
        chosen = points[start : start + _ABREAST]
        grid = Table(box=None)
        for heading in ("", *(name for name, _ in chosen)):
            grid.add_column(heading, justify="right" if heading else "left", no_wrap=True)
        for title, field, form in scores_of(sweep):
            if any(field in result for result in results):
                grid.add_row(title, *(_cell(moments(members, field), form) for _, members in chosen))
        parts.append(grid)
    worse = [result for result in results if "worse_than_constant" in result]
    if worse:
        parts.append(
            Text(
                f"{len(worse)} of {len(results)} members are worse than a constant, one marginal for each element: "
                f"{worse[0]['constant_log_prob']:.2f} nats",
                style="yellow",
            )
        )
    failures = filter(None, (fill("{member}: {not_measured}", result) for result in results))
    return Group(*parts, *(Text(failure, style="yellow") for failure in failures))


def _cell(mean_and_error: tuple[float, float] | None, form: str) -> str:
    if mean_and_error is None:
        return "-"
    mean, error = mean_and_error
    return format(mean, form) if math.isnan(error) else f"{mean:{form}} ± {error:{form}}"
