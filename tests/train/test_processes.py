import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

from tests.train.on_devices import made, trained
from tests.train.test_devices import NAMES, results, started
from vae_jax.core.errors import ConfigError
from vae_jax.train import processes
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import CHECKPOINTS, METRICS, read_evaluation
from vae_jax.train.processes import agreed, by_first, here, is_first, is_one_of_many, join_processes, own_folder
from vae_jax.train.run import load_state, open_run

SWEPT = (
    *("--quick", "--epochs", "2", "--hidden", "8", "--seeds", "2", "--evaluation-samples", "20"),
    *("--over", "optimizer.learning_rate=0.001,0.003"),
)
MANY = [pytest.param(NAMES, marks=pytest.mark.slow, id="all"), pytest.param(["vae", "streamed"], id="vae")]


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def commanded(*arguments: str) -> subprocess.Popen:
    """A process of `vae-jax`."""
    command = [sys.executable, "-m", "vae_jax.cli", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}
    )


@pytest.mark.parametrize("names", MANY)
def test_two_processes_of_four_devices_give_the_numbers_of_one(names: list[str], tmp_path: Path) -> None:
    out, address = tmp_path / "two.json", f"localhost:{free_port()}"
    two = results(out, *[started(out, names, address, 2, number, count=4) for number in range(2)])
    for name in names:
        one = trained(made(name, tmp_path / "one"))
        assert np.prod(list(two[name]["axes"].values())) == 8
        np.testing.assert_allclose(two[name]["loss"], one["loss"], rtol=1e-5)
        np.testing.assert_allclose(two[name]["norm"], one["norm"], rtol=1e-4)
        # Where they are streamed, the first process reads its half of every batch, or whole ones for half the members.
        assert (one["own"], two[name]["own"]) == ([0, 16], [0, 16 if name == "sweep" else 8])
    # What both saved is one checkpoint, which opens here.
    run = open_run(tmp_path / "two" / "vae")
    checkpoints = Checkpoints(run.directory / CHECKPOINTS, read_only=True)
    state = checkpoints.restore(run.initial())
    checkpoints.close()
    norm = sum(np.square(np.asarray(leaf)).sum() for leaf in jax.tree.leaves(state.train.params))
    np.testing.assert_allclose(norm, two["vae"]["norm"], rtol=1e-6)


def test_a_sweep_of_two_processes_is_measured_as_that_of_one(tmp_path: Path) -> None:
    address = f"localhost:{free_port()}"
    one = commanded("sweep", "curve", *SWEPT, "--out", str(tmp_path / "one"))
    two = [
        commanded("sweep", "curve", *SWEPT, "--out", str(tmp_path / "two"), "--distributed", address, "2", str(number))
        for number in range(2)
    ]
    for process in (one, *two):
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    results = [read_evaluation(tmp_path / name)["members"] for name in ("one", "two")]
    assert len(results[0]) == len(results[1]) == 4
    for first, second in zip(*results, strict=True):
        assert first["member"] == second["member"]
        np.testing.assert_allclose(second["log_marginal"], first["log_marginal"], rtol=1e-4)
    # Each member is a run, whose checkpoint opens in one process.
    member = Path("members", results[0][0]["member"])
    norms = [
        [np.linalg.norm(leaf) for leaf in jax.tree.leaves(load_state(open_run(tmp_path / name / member)).best_params)]
        for name in ("one", "two")
    ]
    np.testing.assert_allclose(norms[1], norms[0], rtol=1e-5)


@pytest.mark.slow
def test_two_processes_begin_with_the_parameters_of_another_run(tmp_path: Path) -> None:
    small = ("curve", "--quick", "--epochs", "2", "--hidden", "8", "--evaluation-samples", "20")
    address, first, second = f"localhost:{free_port()}", tmp_path / "first", tmp_path / "second"
    output, _ = commanded("train", *small, "--out", str(first)).communicate(timeout=300)
    assert (first / "evaluation.json").is_file(), output
    options = ("--start-from", str(first), "--learning-rate", "1e-9", "--out", str(second))
    two = [commanded("train", *small, *options, "--distributed", address, "2", str(number)) for number in range(2)]
    for process in two:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    # Such small steps lead nowhere.
    leaves = [jax.tree.leaves(load_state(open_run(run)).best_params) for run in (first, second)]
    for before, after in zip(*leaves, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize("distributed", [("localhost:1",), ("localhost:1", "2"), ("localhost:1", "two", "0")])
def test_what_says_too_little_of_the_processes_is_refused(distributed: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="which one this is: --distributed 10.0.0.1:1234 4 0. Got localhost:1"):
        join_processes(distributed)


def test_where_nobody_says_who_the_processes_are_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(**known: Any) -> None:
        raise ValueError("coordinator_address should be defined.\nmore")

    monkeypatch.setattr(jax.distributed, "initialize", nobody)
    with pytest.raises(ConfigError, match=r"coordinator_address should be defined.*Without SLURM"):
        join_processes(())


def test_one_process_is_the_first_and_asks_nobody() -> None:
    join_processes(None)
    assert is_first()
    assert not is_one_of_many()
    assert agreed((3, 0.5), 15) == ([3, 0.5], 15)
    assert by_first(lambda: "made", lambda: "found") == "made"
    tree = {"a": jax.numpy.ones(2)}
    assert here(tree) is tree


def test_all_but_the_first_write_in_silence_into_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, console = made("vae", tmp_path), Console()
    (run.directory / METRICS).write_text("{}\n")
    with own_folder(run, console) as first:
        assert first == (run, console)
    monkeypatch.setattr(processes, "is_first", lambda: False)
    with own_folder(run, console) as (own, quiet):
        assert quiet.quiet
        assert own.directory != run.directory
        assert own.config.train.track == ()
        # What there is they know, and what they add nobody sees.
        assert (own.directory / METRICS).read_text() == "{}\n"
        (own.directory / METRICS).write_text("")
    assert not own.directory.exists()
    assert (run.directory / METRICS).read_text() == "{}\n"


def test_a_message_names_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made("vae", tmp_path)
    monkeypatch.setattr(processes, "is_first", lambda: False)
    with (
        pytest.raises(RuntimeError, match=f"look at the step: vae-jax debug {run.directory}$"),
        own_folder(run, Console()) as (own, _),
    ):
        raise RuntimeError(f"look at the step: vae-jax debug {own.directory}")
