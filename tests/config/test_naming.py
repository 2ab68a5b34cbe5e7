import dataclasses

import pytest

from vae_jax.config.fields import Experiment, quick
from vae_jax.config.files import config_names, load_config
from vae_jax.config.naming import changed_fields, command_of


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
