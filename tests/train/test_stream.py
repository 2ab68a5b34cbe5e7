import builtins
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.runs import assert_equal_states, changed, console
from vae_jax.config import Experiment, quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.train import memory, stream
from vae_jax.train.loop import train
from vae_jax.train.run import create, open_run
from vae_jax.train.stream import is_streamed
from vae_jax.train.sweep import prepare_sweep

DIGITS = quick(load_config("digits"))
STREAMED = changed(DIGITS, "compute", stream=True)
ARMS = {"stored": DIGITS, "streamed": STREAMED}


def assert_close(a: Any, b: Any) -> None:
    """The same to rounding: the two programs are compiled apart."""
    assert int(a.step) == int(b.step)
    for x, y in zip(jax.tree.leaves((a.params, a.metrics)), jax.tree.leaves((b.params, b.metrics)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def epochs(config: Experiment, count: int) -> Experiment:
    return changed(config, "train", epochs=count)


@pytest.mark.parametrize("block_steps", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_streamed_data_give_the_numbers_of_data_on_the_device(
    block_steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_BLOCK_STEPS", block_steps)
    # Adam makes of a rounding of a gradient near 0 a step of its own.
    plain = {name: changed(config, "optimizer", optimizer="sgd") for name, config in ARMS.items()}
    runs = [create(config, tmp_path / name) for name, config in plain.items()]
    programs = [run.advance() for run in runs]
    states = [run.initial().train for run in runs]
    # Within a block, over its end, to the end of the epoch of 24 steps, over it, and back to where it was.
    for stop in (1, 4, 7, 24, 25, 60):
        states = [program(state, stop) for program, state in zip(programs, states, strict=True)]
        assert_close(*states)
    before = [run.initial().train for run in runs]
    assert_close(*[program(state, 6) for program, state in zip(programs, before, strict=True)])


def test_a_streamed_run_that_is_cut_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = train(create(epochs(STREAMED, 2), tmp_path / "whole"), console()).state
    run = create(epochs(STREAMED, 2), tmp_path / "cut")
    state = run.initial()
    halfway = run.advance()(state.train, 31)
    # Another process begins in the middle of an epoch.
    rest = open_run(run.directory).advance()(halfway, 48)
    assert_equal_states(rest, whole.train)


def test_every_example_of_an_epoch_is_read_once() -> None:
    order = np.random.default_rng(0).permutation(50)[:48]
    data = {"x": np.arange(100).reshape(50, 2), "label": np.arange(50)}
    blocks = stream._Blocks(data, order, batch_size=4, steps=5, own=slice(0, 4))
    assert len(blocks) == 3
    seen = np.concatenate([blocks[i]["label"].T.ravel() for i in range(3)])
    np.testing.assert_array_equal(seen[:48], order)
    assert blocks[2]["x"].shape == (4, 5, 2)
    np.testing.assert_array_equal(blocks[1]["x"][:, 2], data["x"][order[28:32]])
    # Of two processes the second reads the second half of every batch.
    half = stream._Blocks(data, order, batch_size=4, steps=5, own=slice(2, 4))
    np.testing.assert_array_equal(half[1]["x"], blocks[1]["x"][2:])


def test_data_are_streamed_where_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"x": np.zeros((100, 10), np.uint8)}
    assert is_streamed(True, data)
    for most, expected in ((1_500, True), (2_500, False), (None, False)):
        monkeypatch.setattr(memory, "memory", lambda most=most: most)
        monkeypatch.setattr(stream, "memory", lambda most=most: most)
        assert is_streamed(False, data) == expected


def test_without_grain_it_is_asked_for_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def missing(name: str, *rest: Any, **options: Any) -> Any:
        if name == "grain":
            raise ImportError(name)
        return found(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install 'vae-jax\[stream\]'"):
        create(STREAMED, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    create(DIGITS, tmp_path / "run")


def test_a_sweep_is_not_streamed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--stream is for one run"):
        prepare_sweep(STREAMED, {("optimizer", "learning_rate"): (1e-3,)}, 1, tmp_path)


def test_a_streamed_run_has_the_validation_of_any_run(tmp_path: Path) -> None:
    run = create(STREAMED, tmp_path / "run")
    metrics = run.held_out()(run.initial().best_params)
    plain = create(DIGITS, tmp_path / "plain")
    expected = plain.held_out()(plain.initial().best_params)
    jax.tree.map(np.testing.assert_array_equal, metrics, expected)
