import dataclasses

import chex
import jax
import numpy as np
import pytest

from tests.runs import assert_equal_states, changed, console, experiment, trained
from vae_jax.config.files import to_json
from vae_jax.core.errors import ConfigError
from vae_jax.data.table import write_table
from vae_jax.train.files import read_metrics
from vae_jax.train.loop import num_steps, train
from vae_jax.train.run import create, load_snapshot, load_state, open_run


def test_a_run_leaves_its_directory(tmp_path) -> None:
    run, state = trained(tmp_path / "run")
    lines = read_metrics(run.directory)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["step"] == num_steps(run) == int(state.train.step)
    assert set(lines[0]["train"]) == {"loss", "bound", "log_likelihood", "kl"} == set(lines[0]["validation"])
    assert lines[0]["train"]["loss"] > lines[-1]["train"]["loss"]
    assert open_run(run.directory).config == run.config
    assert_equal_states(load_state(run)._replace(seconds=state.seconds), state)


def test_the_same_seed_gives_the_same_run_and_another_another(tmp_path) -> None:
    states = [trained(tmp_path / str(i), experiment(seed=seed))[1] for i, seed in enumerate((0, 0, 1))]
    assert_equal_states(states[0].train, states[1].train)
    a, b = (jax.tree.leaves(state.train.params)[0] for state in (states[0], states[2]))
    assert (a != b).any()


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


def test_a_run_whose_evaluation_would_lack_labels_is_refused_at_once(tmp_path) -> None:
    with pytest.raises(ValueError, match="a multiple of 10, got 15"):
        create(changed(experiment(), "labels", labelled=15), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_columns_of_several_scales_are_not_corrupted_in_their_own(tmp_path) -> None:
    random = np.random.default_rng(0)
    write_table(tmp_path / "t.csv", {"a": random.normal(size=60), "b": 2.0 * random.normal(size=60)})
    config = changed(experiment(str(tmp_path / "t.csv"), batch_size=8), "data", stand_in=False)
    config = dataclasses.replace(config, system="autoencoder")
    config = changed(changed(config, "model", posterior="point"), "codes", corruption="gaussian")
    with pytest.raises(ConfigError, match="--corruption gaussian changes x in its own units, in which the columns"):
        create(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert create(changed(config, "data", standardise=False), tmp_path / "run").dataset.units is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("train", [{}, {"average_decay": 0.9}])
def test_training_gives_the_buffers_of_its_state_away(tmp_path, stream, train) -> None:
    config = changed(changed(experiment(), "train", **train), "compute", stream=stream)
    run = create(config, tmp_path / "run")
    state = run.initial()
    given = jax.tree.leaves((state.train.params, state.train.average, state.train.opt_state[0].mu))
    run.advance()(state.train, 3)
    assert all(leaf.is_deleted() for leaf in given)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state.best_params))


def test_a_run_from_another_gives_its_own_buffers_away(tmp_path) -> None:
    config = changed(experiment(), "train", average_decay=0.9)
    first, _ = trained(tmp_path / "first", config)
    run = create(changed(config, "train", start_from=str(first.directory)), tmp_path / "run")
    state = run.begun(run.initial())
    run.advance()(state.train, 3)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state.best_params))
