"""The loop around the training program: what is kept, when it stops, and how it goes on."""

import dataclasses
import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import numpy as np
import pytest
from rich.console import Console

from tests.runs import assert_equal_states, changed, console, experiment, trained
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import read_metrics
from vae_jax.train.loop import TrainingError, num_steps, train
from vae_jax.train.run import Run, create, load_state, open_run


def dataset_of_its_own(tmp_path):
    """An experiment on a small file, not on a stand-in."""
    np.save(tmp_path / "points.npy", np.random.default_rng(0).standard_normal((300, 2)))
    return changed(experiment("curve"), "data", dataset=str(tmp_path / "points.npy"), stand_in=False)


SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from vae_jax.train.loop import train
from vae_jax.train.run import open_run
trained = train(open_run(Path(sys.argv[1])), Console())
sys.exit(0 if trained.finished else 128 + trained.signal)
"""


def start(directory: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(directory)], stdout=subprocess.PIPE, text=True)


def saving(directory: Path) -> bool:
    """Whether a checkpoint is being written just now: Orbax renames it when it is whole."""
    return any("tmp" in path.name for path in (directory / "checkpoints").glob("*"))


def saved(directory: Path) -> int:
    return max((int(path.name) for path in (directory / "checkpoints").glob("*") if path.name.isdigit()), default=-1)


LONG = experiment("curve", epochs=40, save_seconds=0.0, chunk_seconds=0.02)


def test_a_finished_run_resumes_to_itself(tmp_path) -> None:
    run, state = trained(tmp_path / "run")
    again, stopped_by, moved = train(open_run(run.directory), console())
    assert stopped_by is None
    assert not moved
    assert_equal_states(again, state)
    assert len(read_metrics(run.directory)) == 3


def test_patience_stops_and_keeps_the_best(tmp_path) -> None:
    # So high a rate that the loss soon gets worse.
    config = changed(experiment(epochs=50, patience=2), "optimizer", learning_rate=0.3, schedule="constant")
    run, state = trained(tmp_path / "run", config)
    losses = [line["validation"]["loss"] for line in read_metrics(run.directory)]
    best = int(state.best_epoch)
    assert len(losses) == best + 2 < 50
    assert min(losses) == losses[best - 1] == pytest.approx(float(state.best_loss))


def test_patience_begins_where_the_weight_of_the_kl_has_risen(tmp_path, monkeypatch) -> None:
    # From the first epoch on none is better, but the weight rises for ten.
    monkeypatch.setattr(Run, "held_out", lambda self: validated([5.0] * 20))
    config = changed(experiment("curve", epochs=20, patience=2), "objective", beta_warmup=0.5)
    run, state = trained(tmp_path / "run", config)
    assert int(state.best_epoch) == 1
    assert len(read_metrics(run.directory)) == 12


def validated(losses: list[float]):
    """A validation of which these losses come, one after the other."""
    numbers = iter(np.float32(losses))

    def metrics(params):
        loss = next(numbers)
        return {"loss": loss, "bound": -loss}

    return metrics


def test_without_validation_examples_the_last_epoch_is_taken(tmp_path) -> None:
    config = changed(dataset_of_its_own(tmp_path), "data", validation_size=0)
    run, state = trained(tmp_path / "run", config)
    assert read_metrics(run.directory)[0]["validation"] == {}
    assert int(state.best_epoch) == 3
    chex.assert_trees_all_equal(state.best_params, state.train.params)
    with pytest.raises(ConfigError, match="--patience 2 waits for a better validation loss, but --validation-size"):
        create(changed(config, "train", patience=2), tmp_path / "other")


def test_where_a_multiplier_moves_the_last_epoch_is_taken(tmp_path) -> None:
    # The distortion is below 100 nats from the start, so that the multiplier falls, and the loss rises with it.
    config = changed(experiment(), "objective", most_distortion=100.0)
    run, state = trained(tmp_path / "run", config)
    losses = [line["validation"]["loss"] for line in read_metrics(run.directory)]
    assert min(losses) < losses[-1]
    assert int(state.best_epoch) == len(losses) == 3
    chex.assert_trees_all_equal(state.best_params, state.train.params)
    adversarial = dataclasses.replace(changed(experiment(), "model", posterior="point"), system="adversarial")
    for other in (config, adversarial):
        with pytest.raises(ConfigError, match="two epochs cannot be compared"):
            create(changed(other, "train", patience=2), tmp_path / "other")


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_checkpoint(tmp_path) -> None:
    config = changed(
        experiment(epochs=20, save_seconds=0.0, chunk_seconds=1e-6), "optimizer", optimizer="sgd", learning_rate=1e6
    )
    run = create(config, tmp_path / "run")
    with pytest.raises(TrainingError, match=r"step \d+ is not finite .*lower --learning-rate"):
        train(run, console())


def test_steps_that_are_left_out_for_their_gradients_are_counted_and_said(tmp_path) -> None:
    few = changed(experiment(epochs=1), "optimizer", skip_norm=1e6)
    run, _ = trained(tmp_path / "few", few)
    assert read_metrics(run.directory)[-1]["train"]["left_out"] == 0.0
    text = io.StringIO()
    run = create(changed(experiment(epochs=2), "optimizer", skip_norm=1e-6), tmp_path / "all")
    with pytest.warns(UserWarning, match="most steps of an epoch are left out.*--skip-norm None --clip-norm 1e-06"):
        train(run, Console(file=text))
    assert read_metrics(run.directory)[-1]["train"]["left_out"] == 1.0
    assert "100% of the steps left out" in text.getvalue()


def test_an_accuracy_that_is_not_known_is_left_out(tmp_path) -> None:
    config = changed(quick(load_config("m2")), "train", epochs=1)
    some = create(config, tmp_path / "some")
    label = some.dataset.train.label.copy()
    label[-len(label) // 3 :] = -1
    dataset = dataclasses.replace(some.dataset, train=some.dataset.train._replace(label=label))
    train(dataclasses.replace(some, dataset=dataset), console())
    line = read_metrics(some.directory)[-1]
    assert "accuracy" not in line["train"]
    assert np.isfinite(line["train"]["bound"])
    assert 0.0 <= line["validation"]["accuracy"] <= 1.0


def test_of_two_stages_the_one_that_stands_still_is_not_counted(tmp_path) -> None:
    config = changed(quick(load_config("m1m2")), "optimizer", skip_norm=1e-6)
    run = create(changed(config, "train", epochs=2), tmp_path / "run")
    with pytest.warns(UserWarning, match="most steps of an epoch are left out"):
        train(run, console())
    assert [line["train"]["left_out"] for line in read_metrics(run.directory)] == [1.0, 1.0]


def test_killed_between_and_during_saves_it_ends_with_the_same_bits(tmp_path) -> None:
    _, undisturbed = trained(tmp_path / "whole", LONG)
    directory = tmp_path / "killed"
    run = create(LONG, directory)
    progress = []
    for during_save in (True, False):
        process, before = start(directory), saved(directory)
        # At least two new checkpoints, then the moment that is wanted.
        while process.poll() is None and not (saved(directory) > before + 60 and saving(directory) == during_save):
            time.sleep(0.0005)
        assert process.poll() is None, "the run ended before it could be killed"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        progress.append(saved(directory))
    assert sorted(progress) == progress
    process = start(directory)
    process.communicate()
    assert process.returncode == 0
    state = load_state(run)
    assert_equal_states(state.train, undisturbed.train)
    assert_equal_states(state.best_params, undisturbed.best_params)
    epochs = [line["epoch"] for line in read_metrics(run.directory)]
    assert epochs == list(range(1, 41))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number) -> None:
    run = create(LONG, tmp_path / "run")
    process = start(run.directory)
    while process.poll() is None and saved(run.directory) < 60:
        time.sleep(0.001)
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 128 + number
    state = load_state(run)
    assert 0 < int(state.train.step) < num_steps(run)


def test_where_the_validation_loss_is_never_finite_the_last_epoch_is_taken(tmp_path) -> None:
    x = np.random.default_rng(0).standard_normal((80, 4)).astype(np.float32)
    wrong = x[60:70].copy()
    wrong[3, 2] = 1e25
    np.savez(tmp_path / "x.npz", x=x[:60], x_val=wrong, x_test=x[70:])
    config = changed(experiment(str(tmp_path / "x.npz"), patience=1), "data", stand_in=False)
    with pytest.warns(UserWarning, match="the validation loss is inf, so no epoch is better than another by it"):
        run, state = trained(tmp_path / "run", config)
    assert int(state.best_epoch) == len(read_metrics(run.directory)) == 3
    chex.assert_trees_all_equal(state.best_params, state.train.params)


def test_a_validation_loss_that_becomes_finite_counts_from_there(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Run, "held_out", lambda self: validated([np.nan, np.nan, 3.0, 2.0, 2.5]))
    with pytest.warns(UserWarning, match="the validation loss is nan"):
        _, state = trained(tmp_path / "run", experiment("curve", epochs=5))
    assert int(state.best_epoch) == 4
    assert float(state.best_loss) == 2.0


def test_a_clock_that_stands_still_stops_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vae_jax.train.loop.time.monotonic", lambda: 7.0)
    _, state = trained(tmp_path / "run", experiment("curve", epochs=2))
    assert int(state.best_epoch) > 0


def test_a_signal_of_the_last_validation_is_not_forgotten(tmp_path, monkeypatch) -> None:
    run = create(experiment(epochs=1), tmp_path / "run")
    held_out = run.held_out()

    def interrupted(params):
        signal.raise_signal(signal.SIGTERM)
        return held_out(params)

    monkeypatch.setattr(type(run), "held_out", lambda self: interrupted)
    done = train(run, console())
    assert done.signal == signal.SIGTERM


def test_a_snapshot_is_written_before_a_checkpoint_goes_past_it(tmp_path, monkeypatch) -> None:
    written = []
    save, wait = Checkpoints.save, Checkpoints.wait

    def noted(self, step, tree):
        written.append((self._directory.name, step))
        save(self, step, tree)

    def waited(self):
        wait(self)
        written.append((self._directory.name, "whole"))

    monkeypatch.setattr(Checkpoints, "save", noted)
    monkeypatch.setattr(Checkpoints, "wait", waited)
    trained(tmp_path / "run", experiment("curve", epochs=2, save_seconds=0.0, snapshots=(1,)))
    first = written.index(("snapshots", 1))
    assert written[first + 1] == ("snapshots", "whole")
