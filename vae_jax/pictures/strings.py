"""The pictures of a run on strings: between two of them, and around one."""

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
# Of an expression's values all but so many percent at each end are shown, and beyond them twice as much again.
_TAIL, _BEYOND = 5.0, 2.0
# Larger ones are too near the largest number to have a margin.
_HUGE = 1e300
# Characters of a string in a title.
_LONGEST = 60
# How far the outermost codes of a neighbourhood are from its centre along each direction, in standard deviations of all
# codes, averaged over the dimensions.
_REACH = 0.7


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
    return drawn(subject, cells, title)


def _neighbourhood(subject: Subject, shown: Shown) -> Figure:
    x, means = shown.x[:_CENTRES], np.asarray(shown.means)
    size = means.shape[1]
    # The first test string that its own code decodes to, where there is one; and one to be drawn, where there is one.
    strings, own = texts(subject.language, x), likely_strings(subject, means[:_CENTRES])
    row = max(range(len(strings)), key=lambda i: (strings[i] == own[i], subject.is_valid(own[i]), -i))
    centre = means[row]
    directions = np.linalg.qr(np.asarray(jax.random.normal(jax.random.key(0), (size, 2))))[0]
    ticks = np.linspace(-1.0, 1.0, _SIDE) * _REACH * np.sqrt(size) * means.std(axis=0).mean() / np.sqrt(2.0)
    codes = [centre + a * directions[:, 0] + b * directions[:, 1] for b in ticks[::-1] for a in ticks]
    decoded = likely_strings(subject, np.stack(codes))
    cells = [[(string, "") for string in decoded[i : i + _SIDE]] for i in range(0, len(decoded), _SIDE)]
    title = f"codes around that of a test string, decoded, along two directions of {size}\n"
    if strings[row] == decoded[len(decoded) // 2]:
        title += "boxed: the string itself, which its own code decodes to"
    else:
        title += f"boxed: what its own code decodes to: another string (so with all {len(strings)} that were tried)\n"
        title += f"the string itself: {strings[row][:_LONGEST]}{'…' if len(strings[row]) > _LONGEST else ''}"
    return drawn(subject, cells, title, boxed=(_SIDE // 2, _SIDE // 2))


def drawn(
    subject: Subject, cells: list[list[tuple[str, str]]], title: str, boxed: tuple[int, int] | None = None
) -> Figure:
    """A grid of strings with captions, `(string, caption)`: drawn where they are valid, written where they are not."""
    kind, is_valid = subject.run.config.strings.valid_as, subject.is_valid
    draw = {"equations": _draw_expression, "molecules": _draw_molecule}.get(kind or "", _write)
    if kind == "equations":
        x = expressions.inputs()
        title += f"\nx from {x[0]:.0f} to {x[-1]:.0f}, y as said below each"

    def valid_or_written(axes: Axes, string: str) -> None:
        (draw if is_valid(string) else _write_invalid)(axes, string)

    return plots.string_grid(cells, valid_or_written, title=title, boxed=boxed)


def _draw_expression(axes: Axes, expression: str) -> None:
    x = expressions.inputs()
    y = expressions.evaluate(expression, x)
    finite = np.abs(y) < _HUGE
    low, high, said = _shown_values(y[finite]) if finite.any() else (0.0, 0.0, "nowhere finite")
    axes.plot(x, np.where(finite, y, np.nan), linewidth=0.7, color="black")
    # A margin, so that no line lies on the frame; of a constant it is all that there is.
    margin = 0.05 * (high - low) if high - low > 1e-9 * abs(high) else max(1.0, 0.1 * abs(high))
    axes.set_ylim(low - margin, high + margin)
    axes.set_xlabel(f"{_wrapped(expression, 28)}\n{said}", fontsize=4.5, labelpad=1.5, parse_math=False)


def _shown_values(y: np.ndarray) -> tuple[float, float, str]:
    """The least and the largest that is shown of the values `[n]`, in words too: all but what is far from most, as at a
    pole."""
    near_low, near_high = np.percentile(y, (_TAIL, 100.0 - _TAIL))
    beyond = _BEYOND * (near_high - near_low)
    low, high = max(y.min(), near_low - beyond), min(y.max(), near_high + beyond)
    said = " to ".join(dict.fromkeys((f"{low:.3g}", f"{high:.3g}")))
    return low, high, f"y {said}" + (", cut" if low > y.min() or high < y.max() else "")


def _draw_molecule(axes: Axes, smiles: str) -> None:
    axes.imshow(molecules.picture(smiles), interpolation="antialiased")


def _write(axes: Axes, string: str) -> None:
    _write_text(axes, _wrapped(string), fontsize=5, color="black")


def _write_invalid(axes: Axes, string: str) -> None:
    _write_text(axes, f"not valid:\n{_wrapped(string)}", fontsize=4, color="0.5")


def _write_text(axes: Axes, text: str, *, fontsize: float, color: str) -> None:
    # Between two dollars, bonds of SMILES, would be mathematics.
    axes.text(
        0.5,
        0.5,
        text,
        fontsize=fontsize,
        color=color,
        ha="center",
        va="center",
        parse_math=False,
        transform=axes.transAxes,
    )


def _wrapped(string: str, width: int = 18) -> str:
    return "\n".join(string[i : i + width] for i in range(0, len(string), width))


# Each code is drawn as what it is likeliest to be, rule by rule; what is not valid is written.
INTERPOLATION = Picture("interpolation", lambda subject: subject.grammar is not None, _interpolation)
NEIGHBOURHOOD = Picture(
    "neighbourhood", lambda subject: subject.grammar is not None and subject.code_size > 1, _neighbourhood
)
