"""Which directories a new run may have."""

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vae_jax as vj
from tests.runs import experiment, trained
from vae_jax.core.errors import ConfigError
from vae_jax.core.files import write_json
from vae_jax.train.directory import came_to_nothing, directory_of_its_own
from vae_jax.train.files import CHECKPOINTS, CONFIG, METRICS, NONFINITE, WRITER, is_sweep
from vae_jax.train.python import as_dataset
from vae_jax.train.run import create, open_run


def test_a_directory_that_holds_a_run_is_refused_and_left_alone(tmp_path) -> None:
    run, _ = trained(tmp_path / "run")
    before = {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="already holds a run. Continue it with: vae-jax resume .*; or name another"):
        create(experiment(), run.directory)
    assert before == {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"must not hold any of \[ \] \* \?.*, got .*run \[1\]"):
        create(experiment(), tmp_path / "run [1]")
    with pytest.raises(ConfigError, match=r"must not hold any of .*, got .*a\\b"):
        create(experiment(), tmp_path / "a\\b")
    with pytest.raises(ConfigError, match="a run lies in a folder of this machine, got gs:/bucket/run"):
        create(experiment(), Path("gs://bucket/run"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is not an empty directory"):
        create(experiment(), tmp_path / "other")


def test_where_a_process_was_killed_before_there_was_a_config_a_run_can_begin(tmp_path: Path) -> None:
    run = create(experiment("curve"), tmp_path / "run")
    (run.directory / CONFIG).unlink()
    for name in ("sweep.json", "made.json", "initial.npz", ".initial-71-ab.npz", WRITER):
        (run.directory / name).write_text("half of it")
    again = create(experiment("curve"), run.directory)
    assert open_run(again.directory).config == experiment("curve")
    assert not is_sweep(again.directory)
    # Where no writer was killed, these are the files of somebody else.
    (again.directory / CONFIG).unlink()
    assert not (again.directory / WRITER).exists()
    with pytest.raises(ConfigError, match="is not an empty directory"):
        create(experiment("curve"), again.directory)


def test_a_first_epoch_that_took_long_is_not_thrown_away(tmp_path: Path) -> None:
    run, _ = trained(tmp_path / "run", experiment("curve", epochs=1))
    (run.directory / METRICS).unlink()
    assert not came_to_nothing(run.directory)
    write_json(run.directory / NONFINITE, {"step": 7})
    # The state before the bad step alone.
    (saved,) = (run.directory / CHECKPOINTS).iterdir()
    assert came_to_nothing(run.directory)
    # And one that was saved before it, since its time had come.
    shutil.copytree(saved, saved.with_name("3"))
    assert not came_to_nothing(run.directory)
    with pytest.raises(ConfigError, match="already holds a run"):
        create(experiment("curve"), run.directory)


@pytest.mark.parametrize("kind", ["arrays", "dataset", "file"])
def test_a_test_split_of_one_example_is_refused_before_anything_is_written(kind: str, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((20, 3), np.float32)
    data: Any = {"x": x[1:], "x_test": x[:1]}
    if kind == "dataset":
        data = as_dataset(data)
    elif kind == "file":
        np.savez(tmp_path / "mine.npz", **data)
        data = tmp_path / "mine.npz"
    vae = vj.VAE(
        lambda params, x: vj.standard_normal(1),
        lambda params, z: vj.DiagNormal(params["loc"] + 0.0 * z[0], np.ones(3)),
        lambda params: vj.standard_normal(1),
    )
    options: Any = {"params": {"loc": np.zeros(3)}, "epochs": 1, "batch_size": 4, "directory": tmp_path / "run"}
    with pytest.raises(ValueError, match="the test split has one example, and errors and active units take two or"):
        vj.fit(vae, data, **options)
    assert not (tmp_path / "run").exists()


def test_a_directory_that_nobody_named_is_numbered_and_gone_where_nothing_is_made(tmp_path: Path) -> None:
    for expected in ("curve", "curve-2", "curve-3"):
        with directory_of_its_own(tmp_path / "runs" / "curve") as directory:
            assert directory.name == expected
            assert directory.is_dir()
    with pytest.raises(ConfigError), directory_of_its_own(tmp_path / "runs" / "curve"):
        raise ConfigError("a config that cannot be run")
    assert not (tmp_path / "runs" / "curve-4").exists()
    with pytest.raises(ConfigError), directory_of_its_own(tmp_path / "others" / "curve"):
        raise ConfigError("a config that cannot be run")
    assert not (tmp_path / "others").exists()


def test_no_two_take_the_same_directory(tmp_path: Path) -> None:
    together, taken = threading.Barrier(8), []

    def take() -> None:
        together.wait()
        with directory_of_its_own(tmp_path / "fit") as directory:
            taken.append(directory.name)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(["fit", *(f"fit-{number}" for number in range(2, 9))])
