"""The fields of a config: their names, their ranges, and what can be done with them all."""

import dataclasses
from typing import get_args, get_type_hints

import pytest

from vae_jax.config import Data, Experiment, Model, Objective
from vae_jax.config.fields import sections
from vae_jax.config.rules import check_ranges
from vae_jax.core.errors import ConfigError
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.parts.families import POSTERIORS, PRIORS
from vae_jax.systems.parts.objective import BOUNDS, ESTIMATORS, TERMS
from vae_jax.systems.registry import validate


@pytest.mark.parametrize(
    ("section", "field", "registry"),
    [
        (Objective, "bound", set(BOUNDS)),
        (Objective, "estimator", {*TERMS, *ESTIMATORS}),
        (Model, "posterior", set(POSTERIORS)),
        (Model, "prior", {"default", *PRIORS}),
        (Model, "likelihood", set(LIKELIHOODS)),
    ],
)
def test_a_config_names_what_there_is(section: type, field: str, registry: set[str]) -> None:
    assert set(get_args(get_type_hints(section)[field])) == registry


def test_ranges_stand_with_their_fields() -> None:
    bounded = [
        (name, field)
        for name, part in sections(Experiment("a test", Data("digits"))).items()
        for field, hint in get_type_hints(type(part), include_extras=True).items()
        if getattr(hint, "__metadata__", ())
    ]
    assert len(bounded) > 60
    for section, field in bounded:
        config = Experiment("a test", Data("digits"))
        part = getattr(config, section)
        value = (-1,) if isinstance(getattr(part, field), tuple) else -1
        with pytest.raises(ConfigError, match=f"--{field.replace('_', '-')} must be .*, got -1"):
            validate(dataclasses.replace(config, **{section: dataclasses.replace(part, **{field: value})}))


def test_no_default_is_outside_its_range() -> None:
    """What is None, a field that is not set, is allowed everywhere."""
    check_ranges(Experiment("a test", Data("digits")))


def test_sections_are_all_parts_that_have_fields() -> None:
    config = Experiment("a test", Data("digits"))
    found = sections(config)
    assert found["data"] is config.data
    assert {"description", "system"} | set(found) == {field.name for field in dataclasses.fields(Experiment)}
    # Flags have no section before them, so that a name stands for one field alone.
    names = [field.name for part in found.values() for field in dataclasses.fields(part)]
    assert len(names) == len(set(names))
