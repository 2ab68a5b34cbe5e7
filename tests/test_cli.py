from importlib.metadata import version

import pytest

from vae_jax.cli import main
from vae_jax.config.files import config_names


def test_the_version_is_that_of_the_package(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vae-jax {version('vae-jax')}\n"


def test_configs_are_listed_one_a_line(capsys) -> None:
    assert main(["configs", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: vae-jax configs")
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == config_names()
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "no command 'fly'; there are train, resume"),
        (["configs", "foo"], "configs takes no arguments, got foo"),
    ],
)
def test_mistakes_get_one_clear_line(arguments, message: str, refusal) -> None:
    assert message in refusal(*arguments)


def test_help(capsys) -> None:
    assert main([]) == 2
    assert main(["--help"]) == 0
    for command in ("train", "sweep"):
        assert main([command, "--help"]) == 0
    assert "usage: vae-jax" in capsys.readouterr().out
