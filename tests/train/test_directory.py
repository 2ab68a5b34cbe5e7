"""Which directories a new run may have."""

import shutil
from pathlib import Path

import pytest

from tests.runs import experiment, trained
from vae_jax.core.errors import ConfigError
from vae_jax.core.files import write_json
from vae_jax.train.directory import came_to_nothing
from vae_jax.train.files import CHECKPOINTS, CONFIG, METRICS, NONFINITE, WRITER, is_sweep
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
