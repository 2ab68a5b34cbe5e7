import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import jax
import numpy as np
import pytest

from tests.runs import changed, console, experiment, trained
from vae_jax.config.files import to_json
from vae_jax.core.errors import ConfigError
from vae_jax.train.files import read_metrics
from vae_jax.train.loop import TrainingError, num_steps, train
from vae_jax.train.run import create, load_snapshot, load_state, open_run


def assert_equal_states(a, b) -> None:
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def test_a_run_leaves_its_directory(tmp_path) -> None:
    run, state = trained(tmp_path / "run")
    lines = read_metrics(run.directory)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["step"] == num_steps(run) == int(state.train.step)
    assert set(lines[0]["train"]) == {"loss", "bound", "log_likelihood", "kl"} == set(lines[0]["validation"])
    assert lines[0]["train"]["loss"] > lines[-1]["train"]["loss"]
    assert open_run(run.directory).config == run.config
    assert_equal_states(load_state(run)._replace(seconds=state.seconds), state)


def test_a_finished_run_resumes_to_itself(tmp_path) -> None:
    run, state = trained(tmp_path / "run")
    again, stopped_by, moved = train(open_run(run.directory), console())
    assert stopped_by is None
    assert not moved
    assert_equal_states(again, state)
    assert len(read_metrics(run.directory)) == 3


def test_the_same_seed_gives_the_same_run_and_another_another(tmp_path) -> None:
    states = [trained(tmp_path / str(i), experiment(seed=seed))[1] for i, seed in enumerate((0, 0, 1))]
    assert_equal_states(states[0].train, states[1].train)
    a, b = (jax.tree.leaves(state.train.params)[0] for state in (states[0], states[2]))
    assert (a != b).any()


def test_patience_stops_and_keeps_the_best(tmp_path) -> None:
    # So high a rate that the loss soon gets worse.
    config = changed(experiment(epochs=50, patience=2), "optimizer", learning_rate=0.3, schedule="constant")
    run, state = trained(tmp_path / "run", config)
    losses = [line["validation"]["loss"] for line in read_metrics(run.directory)]
    best = int(state.best_epoch)
    assert len(losses) == best + 2 < 50
    assert min(losses) == losses[best - 1] == pytest.approx(float(state.best_loss))


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


def dataset_of_its_own(tmp_path):
    """An experiment on a small file, not on a stand-in."""
    np.save(tmp_path / "points.npy", np.random.default_rng(0).standard_normal((300, 2)))
    return changed(experiment("curve"), "data", dataset=str(tmp_path / "points.npy"), stand_in=False)


def test_an_average_of_the_parameters_is_what_is_measured(tmp_path) -> None:
    config = changed(experiment("curve", average_decay=0.9), "train", snapshots=(1, 3))
    run, state = trained(tmp_path / "run", config)
    average = state.train.average
    chex.assert_trees_all_equal(load_snapshot(run, 3), average)
    with pytest.raises(AssertionError):
        chex.assert_trees_all_equal(average, state.train.params)
    with pytest.raises(ConfigError, match="kept no snapshot of epoch 2; those it has: 1 3"):
        load_snapshot(run, 2)
    plain, _ = trained(tmp_path / "plain", experiment("curve"))
    with pytest.raises(ConfigError, match="kept no snapshot of epoch 2; those it has: none"):
        load_snapshot(plain, 2)


def test_a_directory_that_holds_a_run_is_refused_and_left_alone(tmp_path) -> None:
    run, _ = trained(tmp_path / "run")
    before = {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="already holds a run. Continue it with: vae-jax resume .*; or name another"):
        create(experiment(), run.directory)
    assert before == {path: path.read_bytes() for path in run.directory.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"must not hold any of \[ \] \* \?, got .*run \[1\]"):
        create(experiment(), tmp_path / "run [1]")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is not an empty directory"):
        create(experiment(), tmp_path / "other")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (changed(experiment(), "data", dataset="nothing"), "unknown dataset 'nothing'"),
        (changed(experiment(), "data", binarisation="none"), "a bernoulli likelihood is for bits"),
        (changed(experiment(), "train", batch_size=10_000), "larger than the training split"),
        (changed(experiment(), "model", network="conv", hidden=(4, 4, 4, 4)), "sides must be multiples of 16"),
        (changed(experiment(), "objective", beta=-1.0), "--beta must be at least 0"),
    ],
)
def test_what_cannot_run_leaves_no_directory(tmp_path, config, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_opening_what_is_not_there(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"holds no run \(no config.json\). Start one with: vae-jax train"):
        open_run(tmp_path)
    run = create(experiment(), tmp_path / "run")
    with pytest.raises(ConfigError, match="holds no checkpoint yet. Train it with: vae-jax resume"):
        load_state(run)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path) -> None:
    run, _ = trained(tmp_path / "run")
    (run.directory / "config.json").write_text(to_json(changed(run.config, "model", hidden=(17,))))
    with pytest.raises(ConfigError, match="checkpoint 36 is of another architecture"):
        train(open_run(run.directory), console())


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_checkpoint(tmp_path) -> None:
    config = changed(
        experiment(epochs=20, save_seconds=0.0, chunk_seconds=1e-6), "optimizer", optimizer="sgd", learning_rate=1e6
    )
    run = create(config, tmp_path / "run")
    with pytest.raises(TrainingError, match=r"the loss became (nan|inf|-inf) before step .*lower --learning-rate"):
        train(run, console())


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


LONG = experiment("curve", epochs=120, save_seconds=0.0, chunk_seconds=0.02)


def test_killed_between_and_during_saves_it_ends_with_the_same_bits(tmp_path) -> None:
    _, undisturbed = trained(tmp_path / "whole", LONG)
    directory = tmp_path / "killed"
    run = create(LONG, directory)
    progress = []
    for during_save in (True, False, True):
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
    assert epochs == list(range(1, 121))


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


def test_a_reader_leaves_a_save_in_progress_alone(tmp_path) -> None:
    run, _ = trained(tmp_path / "run")
    writing = run.directory / "checkpoints" / "99.orbax-checkpoint-tmp"
    writing.mkdir()
    (writing / "part").write_text("being written by a run that trains")
    load_state(open_run(run.directory))
    assert (writing / "part").is_file()


def test_a_run_without_a_finished_epoch_has_no_best_parameters(tmp_path) -> None:
    run = create(experiment(), tmp_path / "run")
    from vae_jax.train.checkpoint import Checkpoints

    checkpoints = Checkpoints(run.directory / "checkpoints")
    checkpoints.save(0, run.initial())
    checkpoints.close()
    with pytest.raises(ConfigError, match="holds no finished epoch, so no best parameters, yet"):
        load_state(run)


def test_a_broken_config_is_named(tmp_path) -> None:
    run, _ = trained(tmp_path / "run")
    (run.directory / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config.json is not the config of a run"):
        open_run(run.directory)


def test_a_line_that_was_cut_off_is_left_out(tmp_path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text(json.dumps({"step": 1}) + "\n" + '{"step": 2, "tr')
    assert read_metrics(tmp_path) == [{"step": 1}]
    assert read_metrics(tmp_path / "none") == []
