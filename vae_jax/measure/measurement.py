"""A measurement, as a value: whether it answers, what it computes, and how its numbers are written."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from rich.console import Console

from vae_jax.measure.subject import Subject

# The name of a number, how it is written, and what it says. The last two are templates over the fields of a result.
Row = tuple[str, str, str]
# A section of the table of an evaluation: its title and rows. Rows of equal titles stand together.
Section = tuple[str, tuple[Row, ...]]


@dataclass(frozen=True)
class Options:
    """How much is measured, and by which noise.

    `seed`: of all draws. `decodings`: draws of a string for each code. `annealed_examples`, `temperatures`, `chains`:
    of annealed importance sampling. `grows`: k may be made larger than the config's where Pareto k says that it is not
    enough. `console`: where progress is shown.
    """

    seed: int = 0
    decodings: int = 1
    annealed_examples: int = 0
    temperatures: int = 1000
    chains: int = 16
    grows: bool = False
    console: Console | None = None


class Measurement(NamedTuple):
    """One kind of measurement.

    `answers(subject)`: whether it applies. `measure(subject, options, found)`: its numbers by name, from those `found`
    before it; a number that this model does not have is left out. `rows`: its part of the table. `summary`: its lines
    in the panel at the end of training, `(name, template)`. `scores`: what a sweep compares, `(name, field, format)`.
    Where a template names a field that was not measured, its line is left out.
    """

    name: str
    answers: Callable[[Subject], bool]
    measure: Callable[[Subject, Options, dict[str, Any]], dict[str, Any]]
    rows: tuple[Section, ...] = ()
    summary: tuple[tuple[str, str], ...] = ()
    scores: tuple[tuple[str, str, str], ...] = ()
