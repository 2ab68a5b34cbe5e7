import os
import signal
import subprocess
import sys
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_says_how_to_go_on_and_ends_with_the_status_of_the_signal(number) -> None:
    # A measurement that XLA computes in the background when the signal comes. Tests that a shell runs in the background
    # inherit that SIGINT is ignored.
    program = """
import jax, jax.numpy as jnp, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from vae_jax import cli
def slow(arguments, console):
    print("started", flush=True)
    for _ in range(100):
        jax.random.normal(jax.random.key(0), (3000, 3000)).sum().block_until_ready()
    return 0
cli._configs = slow
sys.argv = ["vae-jax", "configs"]
cli.run()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "interrupted; what was written stays" in error


@pytest.mark.parametrize("words", ["--help", "configs", "train digits --help-all", "manual"])
def test_a_reader_that_has_seen_enough_ends_a_command_without_a_word(words: str) -> None:
    program = f"import sys; from vae_jax import cli; sys.argv = ['vae-jax', *{words.split()}]; cli.run()"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert done.returncode != 0
    assert done.stderr == b""
