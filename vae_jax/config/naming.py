"""A config as the command that trains it."""

import dataclasses
import shlex
from typing import Any

from vae_jax.config.fields import Experiment, quick, sections
from vae_jax.config.files import config_names, load_config
from vae_jax.config.rules import flag

# Where data lie is no part of what is trained.
_PLACES = (("data", "data_dir"), ("data", "stand_in"))


def changed_fields(config: Experiment, base: Experiment) -> list[tuple[str, Any]]:
    """The fields in which a config differs from another, with its values: `("hidden", (64,))`."""
    changed = [
        (field, value)
        for (section, part), other in zip(sections(config).items(), sections(base).values(), strict=True)
        for field, value in dataclasses.asdict(part).items()
        if (section, field) not in _PLACES and value != getattr(other, field)
    ]
    return changed + ([("system", config.system)] if config.system != base.system else [])


def command_of(config: Experiment) -> str:
    """`vae-jax train NAME --field value …`: from the shipped config that is nearest, with the flags that differ."""
    bases = {name: load_config(name) for name in config_names()}
    if config.data.stand_in:
        bases = {name: quick(base) for name, base in bases.items()}
    changes = {name: changed_fields(config, base) for name, base in bases.items()}
    nearest = min(changes, key=lambda name: len(changes[name]))
    words = ["vae-jax", "train", nearest, *(["--quick"] if config.data.stand_in else [])]
    for field, value in changes[nearest]:
        words += [flag(field), *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)
