import dataclasses
import shlex
import types
import typing
from typing import Any, Literal

import pytest

from vae_jax.commands.train import _experiment, _TrainOptions
from vae_jax.config.fields import Experiment, sections
from vae_jax.config.files import config_names, load_config
from vae_jax.config.naming import changed_fields, command_of
from vae_jax.config.trial import quick


@pytest.mark.parametrize("name", config_names())
def test_a_shipped_config_is_its_name(name: str) -> None:
    assert command_of(load_config(name)).startswith("vae-jax train ")
    assert changed_fields(load_config(name), load_config(name)) == []


def test_what_differs_is_a_flag() -> None:
    config = load_config("digits")
    wider = dataclasses.replace(config, model=dataclasses.replace(config.model, hidden=(7, 8), latent_size=3))
    assert command_of(config) == "vae-jax train digits"
    assert command_of(wider) == "vae-jax train digits --hidden 7 8 --latent-size 3"
    assert command_of(quick(config)) == "vae-jax train digits --quick"
    own = dataclasses.replace(config, data=dataclasses.replace(config.data, dataset="my photos/a b.npz"))
    assert "'my photos/a b.npz'" in command_of(own)


def test_a_system_of_another_name_is_a_flag(tmp_path) -> None:
    config = load_config("digits")
    other: Experiment = dataclasses.replace(config, system="my_system.py")
    assert changed_fields(other, config) == [("system", "my_system.py")]


def others(hint: Any, value: Any) -> list[Any]:
    """Values that a field of this type may have in the place of its own."""
    kinds = typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (kind,) = set(kinds) - {types.NoneType}
        return others(kind, value) + ([] if value is None else [None])
    if typing.get_origin(hint) is tuple:
        first = others(kinds[0], None)[0]
        return [(first, others(kinds[0], first)[0])] + ([()] if value else [])
    if typing.get_origin(hint) is Literal:
        return [next(choice for choice in kinds if choice != value)]
    if hint is bool:
        return [not value]
    return [f"{value or ''}/else"] if hint is str else [hint(value or 0) + 1]


@pytest.mark.parametrize("section", sections(load_config("digits")))
def test_the_command_makes_the_config_again(section: str) -> None:
    base = load_config("digits")
    part = getattr(base, section)
    hints = typing.get_type_hints(type(part))
    for field in dataclasses.fields(part):
        # Where data and devices are is no part of what is trained, and a dataset has a config of its own.
        if field.name in ("stand_in", "data_dir", "dataset", "mesh"):
            continue
        for value in others(hints[field.name], getattr(part, field.name)):
            config = dataclasses.replace(base, **{section: dataclasses.replace(part, **{field.name: value})})
            assert changed_fields(config, base) == [(field.name, value)]
            made = _experiment("train", _TrainOptions, shlex.split(command_of(config))[2:])
            assert made is not None
            assert made[0].experiment == config, (field.name, value)
