"""The grid of a sweep: numbers for some fields of a config, and every combination of them."""

import dataclasses
import itertools
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError

# Fields of a config by section and name, `("objective", "beta")`, and the numbers that each takes.
Grid = dict[tuple[str, str], tuple[float, ...]]
# Sections whose numbers go into the training program.
_SECTIONS = ("model", "objective", "codes", "labels", "quantisation", "stages", "optimizer", "train")
# Real numbers that cannot be traced: they decide shapes or stages, or when the program pauses.
_STATIC = ("save_seconds", "chunk_seconds", "grow_at", "second_stage_at")


def sweepable() -> dict[str, str]:
    """`{name: section}` of the fields that can be swept: every real number of a config that training reads."""
    sections = {}
    for section in _SECTIONS:
        kind = type(getattr(Experiment("", typing.cast(Any, None)), section))
        for name, hint in typing.get_type_hints(kind).items():
            if float in (hint, *typing.get_args(hint)) and name not in _STATIC:
                sections[name] = section
    return sections


def parse_grid(over: Sequence[str]) -> Grid:
    """`["objective.beta=1,2,4", "learning_rate=1e-3,1e-4"]` as a grid. ConfigError for what cannot be swept."""
    grid: Grid = {}
    fields = sweepable()
    for assignment in over:
        field, separator, numbers = assignment.partition("=")
        section, _, name = field.replace("-", "_").rpartition(".")
        if fields.get(name) is None or section not in ("", fields[name]):
            known = ", ".join(f"{section}.{name}" for name, section in fields.items())
            raise ConfigError(
                f"--over {field}: not a field that can be swept. What changes shapes, integers and words stay the same "
                f"for all members; the real numbers are {known}."
            )
        try:
            values = tuple(float(number) for number in numbers.split(",")) if separator else ()
        except ValueError:
            values = ()
        if not values or len(set(values)) < len(values):
            raise ConfigError(f"--over {assignment}: give different numbers with commas between: {field}=1,2,4.")
        if (fields[name], name) in grid:
            raise ConfigError(f"--over {field} is given twice: name all its numbers at once, {field}=1,2,4.")
        grid[fields[name], name] = values
    return grid


def grid_points(grid: Grid) -> list[dict[tuple[str, str], float]]:
    """Every combination of the numbers of a grid, the last field varying fastest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def with_values(config: Experiment, values: Mapping[tuple[str, str], Any]) -> Experiment:
    """The config with some fields changed; inside a trace the values may be tracers."""
    for (section, name), value in values.items():
        part = dataclasses.replace(getattr(config, section), **{name: value})
        config = dataclasses.replace(config, **{section: part})
    return config


def point_name(values: Mapping[tuple[str, str], float]) -> str:
    """`beta=4,learning_rate=0.001`, or `all` where nothing is swept but the seed."""
    return ",".join(f"{name}={value:g}" for (_, name), value in values.items()) or "all"
