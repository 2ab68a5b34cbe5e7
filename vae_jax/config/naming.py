"""A config as the command that trains it."""

import dataclasses
import shlex
import typing
from pathlib import Path
from typing import Any

from vae_jax.config.fields import Experiment, sections
from vae_jax.config.files import config_names, load_config
from vae_jax.config.rules import flag, setting
from vae_jax.config.trial import quick

# Where data and devices are is no part of what is trained.
_PLACES = (("data", "data_dir"), ("data", "stand_in"), ("compute", "mesh"))


def field_types(config: Experiment) -> dict[str, Any]:
    """The type of every field of the parts, by its name, which no other part has."""
    parts = [typing.get_type_hints(type(part)) for part in sections(config).values()]
    return {name: hint for part in parts for name, hint in part.items()}


def changed_fields(config: Experiment, base: Experiment) -> list[tuple[str, Any]]:
    """The fields in which a config differs from another, with its values: `("hidden", (64,))`."""
    changed = [
        (field, value)
        for (section, part), other in zip(sections(config).items(), sections(base).values(), strict=True)
        for field, value in dataclasses.asdict(part).items()
        if (section, field) not in _PLACES and value != getattr(other, field)
    ]
    return changed + ([("system", config.system)] if config.system != base.system else [])


def description_of(config: Experiment, name: str) -> str:
    """What a config is: the description of the one it is made of, or, where its fields are others, which."""
    base = _as_quick(load_config(name), config)
    changed = [setting(field, value) for field, value in changed_fields(config, base)]
    return f"{Path(name).stem} with {' '.join(changed)}" if changed else config.description


def nearest_config(config: Experiment) -> str:
    """The name of the shipped config that differs from this one in the fewest fields."""
    bases = {name: load_config(name) for name in config_names()}
    return min(bases, key=lambda name: len(changed_fields(config, _as_quick(bases[name], config))))


def _as_quick(base: Experiment, config: Experiment) -> Experiment:
    return quick(base) if config.data.stand_in else base


def command_of(config: Experiment) -> str:
    """`vae-jax train NAME --field value …`: from the shipped config that is nearest, with the flags that differ."""
    name = nearest_config(config)
    switches = {field for field, hint in field_types(config).items() if hint is bool}
    words = ["vae-jax", "train", name, *(["--quick"] if config.data.stand_in else [])]
    for field, value in changed_fields(config, _as_quick(load_config(name), config)):
        if field in switches:
            words.append(flag(field if value else f"no_{field}"))
        else:
            words += [flag(field), *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)
