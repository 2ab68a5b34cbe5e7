"""Pictures, from arrays to matplotlib figures. Nothing here knows of runs or models.

Images are `[…, H, W, C]` in 0..1 (C is 1 or 3). Where C is 1 they are shown as ink on paper, so that 0 is white, or as
photographs, so that 0 is black.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import NullFormatter

_CLASS_COLOURS = "tab10"
# A legend of more classes would cover the picture.
_MOST_NAMES = 20


def save_figure(path: Path, figure: Figure) -> Path:
    """Write a figure as the file at `path`."""
    # Cut to what is drawn: row names make images narrower than their paper.
    figure.savefig(path, dpi=150, bbox_inches="tight", pad_inches=0.05)
    return path


def save_figures(folder: Path, figures: Mapping[str, Figure]) -> list[Path]:
    """Write figures as `folder/NAME.png`; the folder is made."""
    folder.mkdir(exist_ok=True)
    return [save_figure(folder / f"{name}.png", figure) for name, figure in figures.items()]


def tiles(images: Any) -> np.ndarray:
    """A grid `[rows, columns, H, W, C]` of images as one image, with a line of one pixel between them."""
    images = np.clip(np.asarray(images, np.float32), 0.0, 1.0)
    rows, columns, height, width, channels = images.shape
    paper = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 0.5, np.float32)
    for i in range(rows):
        for j in range(columns):
            top, left = i * (height + 1) + 1, j * (width + 1) + 1
            paper[top : top + height, left : left + width] = images[i, j]
    return paper


def caption(figure: Figure, text: str) -> None:
    """A small line under a figure that says what it is of."""
    # The layout decides where the rest ends: images are seldom as high as their paper.
    figure.draw_without_rendering()
    # It stays as it is: to find it again when the file is written takes as long as all the rest.
    figure.set_layout_engine("none")
    bottom = figure.get_tightbbox().y0 - 0.08
    style = {"fontsize": 7, "color": "0.45", "parse_math": False}
    figure.text(0.5, bottom / figure.get_figheight(), text, ha="center", va="top", **style)


def show_images(
    images: Any,
    *,
    title: str,
    row_names: Sequence[str] = (),
    column_names: Sequence[str] = (),
    axis_names: tuple[str, str] = ("", ""),
    photographs: bool = False,
) -> Figure:
    """A figure of a grid of images `[rows, columns, H, W, C]`.

    A name for each row, for each column, and for the two axes (the horizontal one first), where given.
    """
    images = np.asarray(images)
    paper = tiles(images)
    height, width = paper.shape[:2]
    inches = 7.0
    figure = Figure(figsize=(inches, inches * height / width + 0.5), layout="constrained")
    axes = figure.subplots()
    shades = "gray" if photographs else "gray_r"
    axes.imshow(_ink(paper), cmap=shades, vmin=0.0, vmax=1.0, interpolation="nearest")
    down, across = height / images.shape[0], width / images.shape[1]
    axes.set_xticks([across * (i + 0.5) for i in range(len(column_names))], labels=list(column_names))
    axes.set_yticks([down * (i + 0.5) for i in range(len(row_names))], labels=list(row_names))
    axes.set(xlabel=axis_names[0], ylabel=axis_names[1])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)
    return figure


def string_grid(
    cells: Sequence[Sequence[tuple[str, str]]],
    draw: Callable[[Axes, str], None],
    *,
    title: str,
    boxed: tuple[int, int] | None = None,
) -> Figure:
    """A grid of drawings, `draw(axes, string)` of each cell `(string, caption)`, one of them in a box.

    The title is plain text: it may hold strings, and a dollar is no mathematics.
    """
    rows, columns = len(cells), len(cells[0])
    figure = Figure(figsize=(1.1 * columns, 0.95 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for i, row in enumerate(cells):
        for j, (string, caption) in enumerate(row):
            axes = grid[i, j]
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_box_aspect(0.75)
            axes.spines[:].set_color("0.85")
            draw(axes, string)
            if caption:
                axes.set_title(caption, fontsize=6)
            if (i, j) == boxed:
                axes.spines[:].set(color="tab:red", linewidth=2.0)
    figure.suptitle(title, fontsize=9, parse_math=False)
    return figure


def _ink(image: np.ndarray) -> np.ndarray:
    return image[..., 0] if image.shape[-1] == 1 else image


def training_curve(
    train: Sequence[tuple[float, float]], validation: Sequence[tuple[float, float]], *, best: float, name: str
) -> Figure:
    """A bound or a loss against epochs, `(epoch, value)` pairs, with a line at the epoch that was kept.

    The axis leaves out the first tenth of the run where it is far from the rest.
    """
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    train, validation = ([(at, value) for at, value in points if np.isfinite(value)] for points in (train, validation))
    for points, label in ((train, "training"), (validation, "validation")):
        if points:
            epochs, values = zip(*points, strict=True)
            axes.plot(
                epochs, values, label=label, linewidth=1.2, marker="o" if len(points) < 20 else None, markersize=3
            )
    later = [value for points in (train, validation) for _, value in points[len(points) // 10 :]]
    if later:
        room = 0.05 * (max(later) - min(later)) or 1.0
        axes.set_ylim(min(later) - room, max(later) + room)
    axes.axvline(best, color="0.6", linestyle=":", label=f"kept, epoch {best:g}")
    axes.set_xlabel("epoch")
    axes.set_ylabel(name)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


# `(examples seen, training bound, validation bound)` after each epoch.
Curve = Sequence[tuple[float, float, float]]


def bound_curves(panels: Mapping[str, Mapping[str, Sequence[Curve]]]) -> Figure:
    """The bound against the examples seen, a panel for each title: for every name its runs.

    Training is solid and validation dashed, one colour for a name. The value axis leaves out the first tenth of the
    points where they are far below the rest.
    """
    figure = Figure(figsize=(1.5 + 4.5 * len(panels), 4.0), layout="constrained")
    for axes, (title, members) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        later = []
        for colour, (name, runs) in zip(_colours(len(members)), members.items(), strict=True):
            for number, run in enumerate(runs):
                examples, training, validation = np.asarray(run, float).T
                axes.plot(examples, training, color=colour, linewidth=1.2, label=name if number == 0 else None)
                axes.plot(examples, validation, color=colour, linewidth=1.2, linestyle="--")
                later += [value for point in run[len(run) // 10 :] for value in point[1:] if np.isfinite(value)]
        if later:
            room = 0.05 * (max(later) - min(later)) or 1.0
            axes.set_ylim(min(later) - room, max(later) + room)
        axes.set(xscale="log", xlabel="examples seen", ylabel="bound (nats per example)")
        # Over less than a decade matplotlib names every line of the grid, one over the other.
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(title, fontsize=10)
        axes.legend(frameon=False, fontsize=8, loc="best")
        axes.grid(alpha=0.3)
    figure.suptitle("training (solid) and validation (dashed)", fontsize=9)
    return figure


def bands(steps: Sequence[float], curves: Mapping[str, Any], *, name: str) -> Figure:
    """Curves of several runs each, `[steps, runs]`: their mean, and from the least to the largest shaded.

    The value axis leaves out the first tenth of the points where they are far from the rest.
    """
    figure = Figure(figsize=(6.5, 4.0), layout="constrained")
    axes = figure.subplots()
    later = []
    for colour, (label, values) in zip(_colours(len(curves)), curves.items(), strict=True):
        values = np.asarray(values, float)
        axes.plot(steps, values.mean(axis=1), color=colour, linewidth=1.2, label=label)
        axes.fill_between(steps, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, linewidth=0)
        part = values[len(values) // 10 :]
        later += part[np.isfinite(part)].tolist()
    if later:
        room = 0.05 * (max(later) - min(later)) or 1.0
        axes.set_ylim(min(later) - room, max(later) + room)
    axes.set(xlabel="steps", ylabel=name)
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)
    return figure


def error_bars(values: Sequence[float], panels: Mapping[str, Mapping[str, Any]], *, name: str) -> Figure:
    """A panel for each title: series of `[(mean, error), …]` by name, against `values` of what is called `name`.

    Errors that are not known (NaN) are not drawn. The axis
    is logarithmic where all values are above 0.
    """
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(0.5 + 3.0 * columns, 2.6 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, (title, series) in zip(grid, panels.items(), strict=False):
        for colour, (label, pairs) in zip(_colours(len(series)), series.items(), strict=True):
            means, errors = np.asarray(pairs, float).T
            axes.errorbar(values, means, np.nan_to_num(errors), color=colour, marker="o", markersize=3, label=label)
        if min(values) > 0.0 and len(values) > 1:
            axes.set_xscale("log")
            axes.set_xticks(values, labels=[f"{value:g}" for value in values])
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(name)
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        if len(series) > 1 and axes is grid[0]:
            axes.legend(frameon=False, fontsize=8)
    return figure


def bars(names: Sequence[str], values: Any, *, title: str, name: str) -> Figure:
    """A horizontal bar for each value, the first on top, with its name and its number."""
    figure = Figure(figsize=(5.5, 0.28 * len(names) + 1.1), layout="constrained")
    axes = figure.subplots()
    drawn = axes.barh(list(names), np.asarray(values))
    axes.bar_label(drawn, fmt="%.2f", padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(name)
    axes.set_title(title, fontsize=10)
    return figure


def codes(
    panels: Sequence[tuple[Any, tuple[str, str]]], labels: Any | None, *, title: str, circle: float | None = None
) -> Figure:
    """Several views of the same codes side by side: `([n, 2], axis names)` each, coloured by label `[n]`.

    `circle`: the radius of one around 0, as of a prior.
    """
    figure = Figure(figsize=(5.4 * len(panels), 5.0), layout="constrained")
    for axes, (points, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _scatter(axes, np.asarray(points), labels, legend=points is panels[-1][0])
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.set_aspect("equal", adjustable="datalim")
        if circle is not None:
            axes.add_patch(Circle((0.0, 0.0), circle, fill=False, color="0.4", linestyle=":"))
    figure.suptitle(title, fontsize=10)
    return figure


def code_line(values: Any, labels: Any | None, *, title: str) -> Figure:
    """Codes of one dimension, `[n]`, as a histogram, a colour for each label."""
    figure = Figure(figsize=(6.0, 3.2), layout="constrained")
    axes = figure.subplots()
    values = np.asarray(values)
    groups = _groups(np.zeros(len(values)) if labels is None else np.asarray(labels))
    names, colours = [group[0] for group in groups], [group[1] for group in groups]
    axes.hist([values[group[2]] for group in groups], bins=50, stacked=True, label=names, color=colours)
    if labels is not None and len(groups) <= _MOST_NAMES:
        axes.legend(title="label", frameon=False, fontsize=8)
    axes.set(xlabel="z", ylabel="examples")
    axes.set_title(title, fontsize=10)
    return figure


def point_clouds(clouds: Sequence[tuple[str, Any]], *, title: str) -> Figure:
    """Clouds of points in the plane, `(name, [n, 2])`, side by side on the same axes."""
    figure = Figure(figsize=(3.2 * len(clouds), 3.5), layout="constrained")
    panels = figure.subplots(1, len(clouds), sharex=True, sharey=True, squeeze=False)[0]
    for axes, (name, points) in zip(panels, clouds, strict=True):
        points = np.asarray(points)
        axes.plot(points[:, 0], points[:, 1], ".", markersize=2, alpha=0.6)
        axes.set_title(name, fontsize=9)
        axes.set_aspect("equal")
    figure.suptitle(title, fontsize=10)
    return figure


def _scatter(axes: Axes, points: np.ndarray, labels: Any | None, *, legend: bool) -> None:
    size = 6 if len(points) < 1000 else 3
    if labels is None:
        axes.plot(points[:, 0], points[:, 1], ".", markersize=size, alpha=0.6)
        return
    groups = _groups(np.asarray(labels))
    for name, colour, chosen in groups:
        axes.plot(*points[chosen].T, ".", markersize=size, alpha=0.7, color=colour, label=name)
    if legend and len(groups) <= _MOST_NAMES:
        axes.legend(
            title="label", frameon=False, fontsize=8, markerscale=2, loc="center left", bbox_to_anchor=(1.0, 0.5)
        )


def _groups(labels: np.ndarray) -> list[tuple[str, Any, np.ndarray]]:
    """Name, colour and rows of every class, in order; before them, grey, the examples whose class is not known."""
    unknown = labels == ("" if labels.dtype.kind == "U" else -1)
    classes = np.unique(labels[~unknown])
    colours = _colours(len(classes))
    groups = [(str(label), colour, labels == label) for label, colour in zip(classes, colours, strict=True)]
    return [("not known", "0.75", unknown), *groups] if unknown.any() else groups


def _colours(number: int) -> list[Any]:
    import matplotlib

    palette = matplotlib.colormaps[_CLASS_COLOURS if number <= 10 else "turbo"]
    return [palette(i if number <= 10 else i / (number - 1)) for i in range(number)]
