"""A run that begins with the parameters of another one."""

import json
import shutil
from pathlib import Path
from typing import Any

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import assert_equal_states, changed, console, experiment, trained
from vae_jax.config import Experiment
from vae_jax.core.errors import ConfigError, DamagedError
from vae_jax.measure.fingerprint import fingerprint
from vae_jax.measure.subject import subject_of
from vae_jax.train import loop
from vae_jax.train.files import INITIAL
from vae_jax.train.grid import parse_grid
from vae_jax.train.initial import read_initial, write_initial
from vae_jax.train.loop import train
from vae_jax.train.run import create, load_state, open_run
from vae_jax.train.sweep import create_sweep

PARAMS = {"dense": {"kernel": jnp.arange(6.0).reshape(2, 3)}, "scale": jnp.float32(2.0), "used": jnp.arange(3)}


def after(first: Path, **train: Any) -> Experiment:
    """A run of another seed that begins with the parameters of `first`."""
    return changed(experiment(seed=1), "train", start_from=str(first), **train)


def test_what_is_kept_is_read_back_to_the_bit(tmp_path) -> None:
    write_initial(tmp_path, PARAMS)
    chex.assert_trees_all_equal(read_initial(tmp_path, PARAMS), PARAMS)
    with pytest.raises(DamagedError, match="holds other parameters than those of its run"):
        read_initial(tmp_path, PARAMS | {"scale": jnp.ones(2)})
    (tmp_path / INITIAL).write_bytes(b"no file of numbers")
    with pytest.raises(DamagedError, match="cannot be read as a .npz file"):
        read_initial(tmp_path, PARAMS)
    (tmp_path / INITIAL).unlink()
    with pytest.raises(DamagedError, match=r"initial.npz is missing.*Put back a copy"):
        read_initial(tmp_path, PARAMS)


@pytest.mark.parametrize("average_decay", [None, 0.9])
def test_a_run_begins_with_the_best_parameters_of_another(tmp_path, average_decay) -> None:
    first, state = trained(tmp_path / "first")
    run = create(after(first.directory, average_decay=average_decay), tmp_path / "second")
    drawn = run.initial()
    initial = run.begun(drawn)
    for params in (initial.train.params, initial.best_params, initial.train.average):
        if params is not None:
            chex.assert_trees_all_equal(params, state.best_params)
    assert int(initial.train.step) == 0
    # Nothing else of the first run comes along: a new optimiser, and the order and noise of its own seed.
    assert_equal_states(initial.train.opt_state, drawn.train.opt_state)
    assert_equal_states(initial.train.key, drawn.train.key)


def test_it_is_better_at_once_and_goes_on_bit_for_bit_without_the_other_run(tmp_path, monkeypatch) -> None:
    first, _ = trained(tmp_path / "first", experiment(epochs=10))
    new, _ = trained(tmp_path / "new", experiment(seed=1, epochs=1))
    whole, state = trained(tmp_path / "whole", after(first.directory, epochs=2))
    epochs = [json.loads(line) for line in (whole.directory / "metrics.jsonl").read_text().splitlines()]
    assert epochs[0]["train"]["loss"] < json.loads((new.directory / "metrics.jsonl").read_text())["train"]["loss"]
    part = create(after(first.directory, epochs=2), tmp_path / "part")
    shutil.rmtree(first.directory)
    monkeypatch.setattr(loop, "_exhausted", lambda run, state, step: step >= 3)
    train(part, console())
    monkeypatch.undo()
    # A run that has come further needs them no more.
    (part.directory / INITIAL).unlink()
    again = open_run(part.directory)
    train(again, console())
    assert_equal_states(load_state(again)._replace(seconds=state.seconds), state)


def test_its_numbers_say_what_it_began_with_and_are_known_by_its_parameters(tmp_path) -> None:
    first, state = trained(tmp_path / "first")
    second, after_it = trained(tmp_path / "second", after(first.directory))
    assert subject_of(second, after_it).protocol(seed=0)["start_from"] == str(first.directory)
    assert "start_from" not in subject_of(first, state).protocol(seed=0)
    alone = changed(second.config, "train", start_from=None)
    x = np.zeros(3)
    assert fingerprint(alone, after_it.best_params, x) == fingerprint(second.config, after_it.best_params, x)


def test_what_it_cannot_begin_with_is_refused_before_anything_is_written(tmp_path) -> None:
    first, _ = trained(tmp_path / "first")
    unlike = changed(after(first.directory), "model", hidden=(8,))
    with pytest.raises(ConfigError, match=r"first is of another architecture: .* has shape \(16,\) there and \(8,\)"):
        create(unlike, tmp_path / "second")
    deeper = changed(after(first.directory), "model", hidden=(16, 16))
    with pytest.raises(
        ConfigError, match="another architecture: .* has shape .* there and .* here. Give the same flags"
    ):
        create(deeper, tmp_path / "second")
    geco = changed(after(first.directory), "objective", most_distortion=20.0)
    with pytest.raises(ConfigError, match=r"log_multiplier has shape none there and \(\) here.*model and objective"):
        create(geco, tmp_path / "second")
    with pytest.raises(ConfigError, match="holds no run"):
        create(after(tmp_path / "nowhere"), tmp_path / "second")
    create(experiment(), tmp_path / "begun")
    with pytest.raises(ConfigError, match="begun holds no checkpoint yet. Train it"):
        create(after(tmp_path / "begun"), tmp_path / "second")
    with pytest.raises(ConfigError, match="--start-from is for one run"):
        create_sweep(after(first.directory), parse_grid(["beta=1,2"]), 1, tmp_path / "second")
    create_sweep(experiment(), parse_grid(["beta=1,2"]), 1, tmp_path / "sweep")
    with pytest.raises(ConfigError, match="sweep is a sweep: name one of its members, in .*members"):
        create(after(tmp_path / "sweep"), tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_another_model_of_the_same_shapes_is_told(tmp_path) -> None:
    first, _ = trained(tmp_path / "first")
    silu = changed(after(first.directory), "model", activation="silu")
    with pytest.warns(UserWarning, match="another model: --activation tanh there, --activation silu here"):
        create(silu, tmp_path / "second")
