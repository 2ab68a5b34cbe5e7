import dataclasses
import shlex

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


@pytest.mark.parametrize("section", sections(load_config("digits")))
def test_the_command_makes_the_config_again(section: str) -> None:
    base = load_config("digits")
    part = getattr(base, section)
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if (section, field.name) in (("data", "stand_in"), ("data", "data_dir"), ("data", "dataset")):
            continue
        other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int | float) else value
        config = dataclasses.replace(base, **{section: dataclasses.replace(part, **{field.name: other})})
        made = _experiment("train", _TrainOptions, shlex.split(command_of(config))[2:])
        assert made is not None
        assert made[0].experiment == config, field.name
