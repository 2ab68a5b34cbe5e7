import dataclasses

import pytest

from tests.runs import changed
from vae_jax.config.files import load_config
from vae_jax.report.origin import made_by, title_of
from vae_jax.systems.registry import IN_PYTHON
from vae_jax.train.source import ARRAYS

TABLE = load_config("table")


@pytest.mark.parametrize(
    ("config", "title", "command"),
    [
        (TABLE, TABLE.description, "vae-jax train table"),
        # Of other data the config's own description says nothing.
        (
            changed(TABLE, "data", dataset="/my/people.csv"),
            "table with --dataset /my/people.csv",
            "vae-jax train table --dataset /my/people.csv",
        ),
        (changed(TABLE, "data", dataset=ARRAYS), TABLE.description, "made in Python, by vj.fit"),
        (dataclasses.replace(TABLE, system=IN_PYTHON, description="mine"), "mine", "made in Python, by vj.fit"),
    ],
)
def test_a_run_is_called_what_it_is_of_and_by_the_command_that_made_it(config, title: str, command: str) -> None:
    assert title_of(config) == title
    assert made_by(config) == command
