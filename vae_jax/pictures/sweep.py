"""The pictures of a sweep: curves, scores with error bars over seeds, and traversals."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from vae_jax.measure.codes import mean_codes
from vae_jax.measure.members import by_point, median_member, member_subjects, moments, scores_of
from vae_jax.measure.subject import Subject
from vae_jax.pictures import plots
from vae_jax.pictures.picture import Shown
from vae_jax.pictures.run import traversals
from vae_jax.train.files import PICTURES, read_metrics
from vae_jax.train.grid import point_name
from vae_jax.train.loop import RunState
from vae_jax.train.sweep import Sweep

# Test examples that the order of a traversal's dimensions is taken from.
_EXAMPLES = 250


def write_sweep_pictures(sweep: Sweep, state: RunState, results: list[dict[str, Any]]) -> list[Path]:
    """Curves of training, scores against the number that is swept, and traversals of each point's median member."""
    figures = {"curves": _curves(sweep)}
    points = by_point(sweep, results)
    for section, field in sweep.grid:
        # Of several swept fields each has its own picture, the others at their first values.
        first = {other: values[0] for other, values in sweep.grid.items() if other != (section, field)}
        chosen = [point for point in sweep.points if all(point[other] == first[other] for other in first)]
        if len(chosen) > 1:
            columns = {heading: _series(points, chosen, name) for heading, name, _ in scores_of(sweep)}
            values = [point[section, field] for point in chosen]
            panels = {heading: {"": series} for heading, series in columns.items() if series is not None}
            if panels:
                figures[f"scores-{field}"] = plots.error_bars(values, panels, name=field)
    subjects = member_subjects(sweep, state)
    for number, (name, members) in enumerate(points.items()):
        subject = subjects[number * sweep.seeds + median_member(members)]
        if subject.has_images and subject.has_normal_prior and subject.has_mean and subject.code == "vector":
            figures[f"traversals-{name}"] = _traversals(subject)
    return plots.save_figures(sweep.directory / PICTURES, figures)


def _traversals(subject: Subject) -> Figure:
    dataset = subject.run.dataset
    test = dataset.test.take(slice(_EXAMPLES))
    x = subject.prepared(dataset, test)
    return traversals(subject, Shown(test, x, mean_codes(subject, x)))


def _series(points: dict[str, list[dict[str, Any]]], chosen: list[Any], field: str) -> list[tuple[float, float]] | None:
    """The moments at every point, NaN where a member diverged; None where no point has such a number."""
    pairs = [moments(points[point_name(point)], field) for point in chosen]
    return None if not any(pairs) else [pair or (math.nan, math.nan) for pair in pairs]


def _curves(sweep: Sweep) -> Figure:
    lines = read_metrics(sweep.directory)
    kind = "validation" if lines and lines[0]["validation"] else "train"
    field = "bound" if lines and "bound" in lines[0][kind] else "loss"
    values = np.asarray([line[kind][field] for line in lines], np.float64).reshape(len(lines), -1, sweep.seeds)
    steps = [line["step"] for line in lines]
    names = [point_name(point) for point in sweep.points]
    curves = {name: values[:, number] for number, name in enumerate(names)}
    return plots.bands(steps, curves, name=f"{kind} {field} (nats per example)")
