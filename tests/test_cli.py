import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version

import pytest

from vae_jax.cli import main
from vae_jax.config.files import config_names
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import read_metrics


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
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(program(words), stdout=writing, stderr=subprocess.PIPE, timeout=60)
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def program(words: str) -> list[str]:
    return [sys.executable, "-c", f"import sys; from vae_jax import cli; sys.argv = ['', *{words.split()}]; cli.run()"]


def ran(words: str, **changes: str) -> "subprocess.CompletedProcess[bytes]":
    """The program in an environment with `changes`."""
    return subprocess.run(program(words), capture_output=True, timeout=60, env=os.environ | changes)


def test_a_training_that_nobody_reads_any_more_is_saved(tmp_path) -> None:
    words = f"train curve --quick --epochs 4000 --chunk-seconds 0.01 --out {tmp_path / 'run'}"
    with subprocess.Popen(program(words), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(b"epoch"):
            pass
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 141
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", read_only=True)
    assert checkpoints.newest() >= read_metrics(tmp_path / "run")[-1]["step"] > 0
    checkpoints.close()


@pytest.mark.parametrize("words", ["manual", "train digits --help"])
def test_what_an_encoding_lacks_becomes_a_question_mark(words: str) -> None:
    done = ran(words, PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?" in done.stdout


def test_a_width_of_0_is_none() -> None:
    assert b"usage" in ran("train digits --help", COLUMNS="0").stdout


def test_a_program_without_a_window_ends_well() -> None:
    closed = "import sys; sys.stdout = sys.stderr = None; sys.argv = ['', 'configs']"
    done = subprocess.run([sys.executable, "-c", f"{closed}; from vae_jax import cli; cli.run()"], timeout=60)
    assert done.returncode == 0


def test_devices_that_are_not_there_are_told_of_in_one_line(tmp_path) -> None:
    done = ran(f"train curve --quick --out {tmp_path / 'run'}", JAX_PLATFORMS="cuda")
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert re.search(b"vae-jax train: .*JAX_PLATFORMS", done.stderr)
