import dataclasses
import sys
from types import SimpleNamespace

import pytest

from tests.runs import changed, console, experiment
from vae_jax.cli import main
from vae_jax.train.loop import train
from vae_jax.train.run import create, open_run
from vae_jax.train.trackers import OPEN, flat, tracked


def tracked_experiment(*names: str):
    return changed(experiment(epochs=2), "train", track=names)


def scalars(folder) -> dict[str, list[tuple[int, float]]]:
    """What the event files hold, read by their own format."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c  # noqa: F401

    found: dict[str, list] = {}
    for path in sorted(folder.iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            size = int.from_bytes(content[at : at + 8], "little")
            event = Event.FromString(content[at + 12 : at + 12 + size])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
            at += 12 + size + 4
    return found


def test_event_files_hold_metrics_numbers_and_pictures(tmp_path) -> None:
    pytest.importorskip("tensorboardX")
    arguments = ["--epochs", "2", "--out", str(tmp_path / "run"), "--evaluation-samples", "5", "--quick"]
    assert main(["train", "digits", *arguments, "--track", "tensorboard"]) == 0
    found = scalars(tmp_path / "run" / "tensorboard")
    # A tracker that is opened again may take nothing for a step that it has.
    assert found["test_log_marginal"][0][0] > found["train_loss"][-1][0]
    assert len(found["train_loss"]) == len(found["validation_loss"]) == 2
    assert {"test_log_marginal", "reconstructions", "manifold"} <= set(found)


class Recorder:
    """A stand-in for a tracker's own library."""

    def __init__(self) -> None:
        self.calls: list = []

    def __getattr__(self, name):
        def call(*args, **options):
            self.calls.append((name, args, options))
            return SimpleNamespace(
                id="7", log=self.log, finish=self.finish, info=SimpleNamespace(run_id="7"), experiment_id="1"
            )

        return call


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_run_that_goes_on_is_the_same_run_there(name: str, tmp_path, monkeypatch) -> None:
    library = Recorder()
    module = SimpleNamespace(init=library.init, Image=lambda path: path, MlflowClient=lambda: library)
    monkeypatch.setitem(sys.modules, name, module)
    run = create(tracked_experiment(name), tmp_path / "run")
    train(run, console())
    made = [call for call in library.calls if call[0] in ("init", "create_run")]
    assert len(made) == 1
    with tracked(run.config, run.directory) as tracker:
        tracker.picture(3, "samples", tmp_path / "samples.png")
    again = [call for call in library.calls if call[0] in ("init", "create_run")][1:]
    assert [call[2]["id"] for call in again] == (["7"] if name == "wandb" else [])
    assert any(call[0] in ("finish", "set_terminated") for call in library.calls)


def test_mlflow_keeps_every_number_and_picture_in_a_folder(tmp_path, monkeypatch) -> None:
    """With the library itself, where it is installed: a run in two parts is one run there."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    run = create(tracked_experiment("mlflow"), tmp_path / "run")
    train(run, console())
    picture = tmp_path / "samples.png"
    picture.write_bytes(b"a picture")
    with tracked(run.config, run.directory) as tracker:
        tracker.log(99, {"test_log_marginal": -3.0})
        tracker.picture(99, "samples", picture)
    client = mlflow.MlflowClient()
    (kept,) = client.search_runs([client.get_experiment_by_name("vae_jax").experiment_id])
    assert len(client.get_metric_history(kept.info.run_id, "train_loss")) == 2
    assert kept.data.metrics["test_log_marginal"] == -3.0
    assert kept.info.status == "FINISHED"
    assert {file.path for file in client.list_artifacts(kept.info.run_id)} == {"config.json", "pictures"}


def test_wandb_offline_keeps_every_number_and_picture_beside_the_run(tmp_path, monkeypatch) -> None:
    """With the library itself, where it is installed."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = create(tracked_experiment("wandb"), tmp_path / "run")
    train(run, console())
    with tracked(run.config, run.directory) as tracker:
        tracker.log(99, {"test_log_marginal": -3.0})
    files = sorted((run.directory / "wandb").glob("offline-run-*/run-*.wandb"))
    # What a run logs stands in the file as it is: the names of two epochs, and those of the part that went on.
    contents = [file.read_bytes() for file in files]
    assert len(contents) == 2
    assert contents[0].count(b"train_loss") >= 2
    assert contents[0].count(b"validation_loss") >= 2
    assert b"test_log_marginal" in contents[1]
    assert len({file.stem for file in files}) == 1, "both parts have the identity of one run"


@pytest.mark.parametrize("name", OPEN)
def test_a_tracker_that_fails_is_left_out_with_one_warning(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX" if name == "tensorboard" else name, None)
    run = create(tracked_experiment(name), tmp_path / "run")
    with pytest.warns(UserWarning, match=rf"--track {name} is left out from here on: .*vae-jax\[{name}\]") as warned:
        assert train(run, console()).finished
    assert len(warned) == 1
    assert dataclasses.asdict(open_run(tmp_path / "run").config)["train"]["track"] == (name,)


def test_a_line_is_flat_and_members_have_numbers_of_their_own() -> None:
    line = {"epoch": 2, "step": 8, "train": {"loss": [1.0, 2.0]}, "validation": {}, "learning_rate": None}
    assert flat(line) == {"epoch": 2, "train_loss/0": 1.0, "train_loss/1": 2.0}
