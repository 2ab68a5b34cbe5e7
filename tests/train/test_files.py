import dataclasses
import json

import pytest

from tests.runs import experiment
from vae_jax.core.errors import ConfigError
from vae_jax.systems.registry import IN_PYTHON
from vae_jax.train.files import (
    ARRAYS,
    add_metrics,
    evaluation_file,
    going_on,
    read_config,
    read_metrics,
    write_config,
    write_metrics,
)
from vae_jax.train.run import create, open_run


def test_a_broken_config_is_named(tmp_path) -> None:
    run = create(experiment(), tmp_path / "run")
    (run.directory / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config.json is not the config of a run"):
        open_run(run.directory)


def test_a_line_that_was_cut_off_is_left_out(tmp_path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps({"step": 1}) + "\n" + '{"step": 2, "tr')
    assert read_metrics(tmp_path) == [{"step": 1}]
    assert read_metrics(tmp_path / "none") == []


def test_what_is_written_is_read_again(tmp_path) -> None:
    write_config(tmp_path, experiment())
    assert read_config(tmp_path) == experiment()
    write_metrics(tmp_path, [{"epoch": 1, "train": {"loss": 0.5}}])
    add_metrics(tmp_path, {"epoch": 2, "train": {"loss": [0.25, 1.0]}})
    lines = [{"epoch": 1, "train": {"loss": 0.5}}, {"epoch": 2, "train": {"loss": [0.25, 1.0]}}]
    assert read_metrics(tmp_path) == lines
    # What comes after a checkpoint is taken away again.
    write_metrics(tmp_path, lines[:1])
    assert read_metrics(tmp_path) == lines[:1]


def test_numbers_of_a_snapshot_have_files_of_their_own(tmp_path) -> None:
    assert evaluation_file(tmp_path) == tmp_path / "evaluation.json"
    assert evaluation_file(tmp_path, 3, ".npz") == tmp_path / "evaluation-epoch-3.npz"
    assert evaluation_file(tmp_path, None, "-annealed.partial.npz") == tmp_path / "evaluation-annealed.partial.npz"


def test_a_folder_without_a_config_holds_no_run(tmp_path) -> None:
    (tmp_path / "runs" / "people").mkdir(parents=True)
    (tmp_path / "runs" / "people" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"Did you mean .*runs/people\?$"):
        read_config(tmp_path / "runs" / "poeple")
    with pytest.raises(ConfigError, match="config.json is a file, and the directory of a run is named first"):
        read_config(tmp_path / "runs" / "people" / "config.json")
    with pytest.raises(ConfigError, match=r"holds no run \(no config.json\). Start one with: vae-jax train"):
        read_config(tmp_path)


def test_how_a_run_goes_on_is_said_by_what_made_it(tmp_path) -> None:
    assert going_on(tmp_path) == f"vae-jax resume {tmp_path}"
    for system, dataset, call in (("vae", "digits", False), (IN_PYTHON, "digits", True), ("m.py:build", ARRAYS, True)):
        config = dataclasses.replace(experiment(dataset), system=system)
        write_config(tmp_path, config)
        assert going_on(tmp_path) == ("vj.fit with the same arguments" if call else f"vae-jax resume {tmp_path}")
