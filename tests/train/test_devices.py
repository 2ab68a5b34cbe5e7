import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.runs import changed, experiment
from tests.train.on_devices import CONFIGS, STEPS, made, trained
from vae_jax.core.errors import ConfigError
from vae_jax.core.mesh import on
from vae_jax.systems.registry import IN_PYTHON
from vae_jax.train import devices
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.devices import draws_of, everywhere, mesh_for, on_mesh, told
from vae_jax.train.files import CHECKPOINTS
from vae_jax.train.run import load_state, open_run

NAMES = [*CONFIGS, "sweep"]
# One of each kind; the others run with `pytest -m slow`.
EACH_KIND = ["vae", "iwae", "sweep"]
SCRIPT = Path(__file__).with_name("on_devices.py")


def started(out: Path, names: list[str], *processes: object, count: int) -> subprocess.Popen:
    """A process with `count` devices that trains."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": root}
    command = [sys.executable, str(SCRIPT), str(out), ",".join(names), *map(str, processes)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def results(out: Path, *processes: subprocess.Popen) -> dict[str, Any]:
    """What came of a training, once all its processes have ended."""
    for process in processes:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-3000:]
    return json.loads(out.read_text())


@pytest.fixture(scope="module")
def on_eight(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder and the numbers of trainings on 8 devices."""
    folder = tmp_path_factory.mktemp("eight")
    out = folder / "runs.json"
    return folder / "runs", results(out, started(out, EACH_KIND, count=8))


def assert_like_one(name: str, eight: dict[str, Any], folder: Path) -> None:
    """What came of 8 devices is what comes of the one here."""
    one = trained(made(name, folder))
    assert one["axes"] == {}
    assert np.prod(list(eight["axes"].values())) == 8
    np.testing.assert_allclose(eight["loss"], one["loss"], rtol=1e-5)
    np.testing.assert_allclose(eight["norm"], one["norm"], rtol=1e-4)


@pytest.mark.parametrize("name", EACH_KIND)
def test_eight_devices_give_the_numbers_of_one(name: str, on_eight: Any, tmp_path: Path) -> None:
    _, eight = on_eight
    assert_like_one(name, eight[name], tmp_path)


@pytest.mark.slow
def test_eight_devices_give_the_numbers_of_one_of_every_kind(tmp_path: Path) -> None:
    others, out = [name for name in NAMES if name not in EACH_KIND], tmp_path / "eight.json"
    eight = results(out, started(out, others, count=8))
    for name in others:
        assert_like_one(name, eight[name], tmp_path / "one")


def test_draws_and_members_are_cut_too(on_eight: Any) -> None:
    _, eight = on_eight
    assert eight["iwae"]["axes"] == {"data": 2, "samples": 4}
    assert eight["sweep"]["axes"] == {"members": 4, "data": 2}


def test_a_checkpoint_of_eight_devices_opens_on_one(on_eight: Any) -> None:
    folder, eight = on_eight
    run = open_run(folder / "vae")
    checkpoints = Checkpoints(run.directory / CHECKPOINTS, read_only=True)
    state = checkpoints.restore(run.initial())
    checkpoints.close()
    assert int(state.train.step) == STEPS
    norm = sum(np.square(np.asarray(leaf)).sum() for leaf in jax.tree.leaves(state.train.params))
    np.testing.assert_allclose(norm, eight["vae"]["norm"], rtol=1e-6)
    assert state.train.step.devices() == {jax.devices()[0]}
    with pytest.raises(ConfigError, match="finished epoch"):
        load_state(run)


SIZES = {"batch_size": 12, "num_samples": 4}


@pytest.mark.parametrize(
    ("asked", "sizes", "complaint"),
    [
        (
            ("data=5",),
            SIZES,
            "12 examples of a batch .--batch-size. cannot be cut into 5 .* only into 1, 2, 3",
        ),
        (("samples=3",), SIZES, "4 draws of z .--num-samples. cannot be cut into 3"),
        (("data=4", "samples=4"), SIZES, "--mesh data=4 samples=4 needs 16 devices, but there are 8"),
        (("members=2",), SIZES, "members is for a sweep"),
        (("members=4",), {"batch_size": 12, "members": 6}, "6 members cannot be cut into 4"),
        (("rows=2",), SIZES, "--mesh takes axes with their numbers of devices, as data=2 samples=2; got 'rows=2'"),
        (("data",), SIZES, "got 'data'"),
        (("data=0",), SIZES, "got 'data=0'"),
        (("data=2", "data=2"), SIZES, "got 'data=2'"),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(
    asked: tuple[str, ...], sizes: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    with pytest.raises(ConfigError, match=complaint):
        mesh_for(asked, **sizes)


@pytest.mark.parametrize(
    ("count", "sizes", "expected"),
    [
        (1, {"batch_size": 12}, {"members": 1, "data": 1}),
        (8, {"batch_size": 12}, {"members": 1, "data": 6}),
        (8, {"batch_size": 128}, {"members": 1, "data": 8}),
        (8, {"batch_size": 7}, {"members": 1, "data": 7}),
        (8, {"batch_size": 13}, {"members": 1, "data": 1}),
        (8, {"batch_size": 12, "members": 6}, {"members": 6, "data": 1}),
        (8, {"batch_size": 12, "members": 2}, {"members": 2, "data": 4}),
    ],
)
def test_by_default_as_many_devices_as_there_are_equal_parts(
    count: int, sizes: dict[str, int], expected: dict[str, int]
) -> None:
    lengths = {"data": sizes["batch_size"]} | ({"members": sizes["members"]} if "members" in sizes else {})
    assert devices._all(lengths, count) == expected


def test_draws_are_cut_as_every_step_can_be() -> None:
    few = changed(experiment(), "objective", num_samples=4)
    growing = changed(few, "objective", grow_to=(6, 8))
    assert draws_of(few) == 4
    assert draws_of(growing) == 2
    # A model made in Python has draws of its own: any number of devices may take them.
    assert draws_of(replace(few, system=IN_PYTHON)) == 0


def test_one_device_needs_no_mesh(tmp_path: Path) -> None:
    assert mesh_for((), batch_size=12) is None
    assert mesh_for(("data=1",), batch_size=12) is None
    assert everywhere() is None
    assert told(None) is None
    with on(None):
        assert jax.sharding.get_abstract_mesh().empty
    run = made("vae", tmp_path)
    assert on_mesh(run, None) is run
    with pytest.raises(ConfigError, match="--mesh data=2 needs 2 devices, but there is 1"):
        _ = on_mesh(run, ("data=2",)).mesh


def test_what_is_idle_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    said = told(None)
    assert said is not None
    assert "devices: 1 of 8" in said
    assert "7 are idle" in said
