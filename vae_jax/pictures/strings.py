"""The pictures of a run on strings: between two of them, and around one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.languages import expressions, molecules
from vae_jax.measure.strings import likely_strings, texts
from vae_jax.measure.subject import Subject
from vae_jax.models.latent import interpolate
from vae_jax.pictures import plots
from vae_jax.pictures.picture import Picture, Shown

_STEPS, _SIDE = 8, 5
# How many test strings are tried, to find one that its own code decodes to.
_CENTRES = 50
# How far the outermost codes of a neighbourhood are from its centre along each direction, in standard deviations of all
# codes, averaged over the dimensions.
_REACH = 0.7


def drawer(subject: Subject) -> Callable[[Axes, str], None]:
    """How a valid string of the run is drawn."""
    drawings = {"equations": _draw_expression, "molecules": _draw_molecule}
    return drawings.get(subject.run.config.strings.valid_as or "", _write)


def _interpolation(subject: Subject, shown: Shown) -> Figure:
    x, means = shown.x, np.asarray(shown.means)
    grammar = subject.language
    rows = []
    for i in range(0, min(6, len(means) - 1), 2):
        path = interpolate(jnp.asarray(means[i]), jnp.asarray(means[i + 1]), _STEPS)
        ends = texts(grammar, x[i : i + 2])
        rows.append([ends[0], *likely_strings(subject, path), ends[1]])
    cells = [[(string, "") for string in row] for row in rows]
    title = "from one test string (left) to another (right), and between them codes on a line, decoded"
    return _drawn(subject, cells, title)


def _neighbourhood(subject: Subject, shown: Shown) -> Figure:
    x, means = shown.x, np.asarray(shown.means)
    grammar, size = subject.language, means.shape[1]
    # The first test string that its own code decodes to, where there is one.
    tried = slice(_CENTRES)
    same = np.asarray(texts(grammar, x[tried])) == np.asarray(likely_strings(subject, means[tried]))
    centre = means[int(np.argmax(same))]
    directions = np.linalg.qr(np.asarray(jax.random.normal(jax.random.key(0), (size, 2))))[0]
    ticks = np.linspace(-1.0, 1.0, _SIDE) * _REACH * np.sqrt(size) * means.std(axis=0).mean() / np.sqrt(2.0)
    codes = [centre + a * directions[:, 0] + b * directions[:, 1] for b in ticks[::-1] for a in ticks]
    decoded = likely_strings(subject, np.stack(codes))
    cells = [[(string, "") for string in decoded[i : i + _SIDE]] for i in range(0, len(decoded), _SIDE)]
    title = f"the codes around a test string (boxed), in two of {size} dimensions, decoded"
    return _drawn(subject, cells, title, boxed=(_SIDE // 2, _SIDE // 2))


def _drawn(
    subject: Subject, cells: list[list[tuple[str, str]]], title: str, boxed: tuple[int, int] | None = None
) -> Figure:
    draw, is_valid = drawer(subject), subject.is_valid

    def valid_or_written(axes: Axes, string: str) -> None:
        (draw if is_valid(string) else _write_invalid)(axes, string)

    return plots.string_grid(cells, valid_or_written, title=title, boxed=boxed)


def _draw_expression(axes: Axes, expression: str) -> None:
    x = expressions.inputs()
    y = expressions.evaluate(expression, x)
    axes.plot(x, np.where(np.isfinite(y), y, np.nan), linewidth=0.7, color="black")
    axes.set_ylim(-12.0, 12.0)
    axes.set_xlabel(expression, fontsize=4.5, labelpad=1.5)


def _draw_molecule(axes: Axes, smiles: str) -> None:
    axes.imshow(molecules.picture(smiles), interpolation="antialiased")


def _write(axes: Axes, string: str) -> None:
    axes.text(0.5, 0.5, _wrapped(string), fontsize=5, ha="center", va="center", transform=axes.transAxes)


def _write_invalid(axes: Axes, string: str) -> None:
    axes.text(
        0.5,
        0.5,
        f"not valid:\n{_wrapped(string)}",
        fontsize=4,
        ha="center",
        va="center",
        color="0.5",
        transform=axes.transAxes,
    )


def _wrapped(string: str, width: int = 18) -> str:
    return "\n".join(string[i : i + width] for i in range(0, len(string), width))


# Each code is drawn as what it is likeliest to be, rule by rule; what is not valid is written.
INTERPOLATION = Picture("interpolation", lambda subject: subject.grammar is not None, _interpolation)
NEIGHBOURHOOD = Picture("neighbourhood", lambda subject: subject.grammar is not None, _neighbourhood)
