"""Runs small enough for tests."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

from vae_jax.config import Data, Evaluate, Experiment, Model, Train, quick
from vae_jax.config.files import load_config
from vae_jax.data.table import read_columns
from vae_jax.measure.evaluation import evaluate
from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.subject import subject_of
from vae_jax.train.loop import RunState, train
from vae_jax.train.run import Run, create


def experiment(dataset: str = "digits", **train: Any) -> Experiment:
    binary = dataset == "digits"
    return Experiment(
        "a test",
        Data(dataset, binarisation="dynamic" if binary else "none", stand_in=True),
        Model(hidden=(16,), latent_size=2, likelihood="bernoulli" if binary else "normal"),
        train=Train(**{"epochs": 3, "batch_size": 32, **train}),
        evaluate=Evaluate(evaluation_samples=10, gap_examples=5),
    )


def equations(**strings: Any) -> Experiment:
    """Equations for a few steps on random ones, with networks of a few units."""
    config = quick(load_config("equations"))
    config = changed(config, "model", hidden=(8, 8), latent_size=3)
    config = changed(config, "train", epochs=1, batch_size=64)
    return changed(config, "strings", recurrent_size=8, **strings)


def few_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with a protocol of a few strings."""
    for name, number in (("EXAMPLES", 10), ("ENCODINGS", 2), ("PRIOR_CODES", 20)):
        monkeypatch.setattr(f"vae_jax.measure.strings.{name}", number)


def lines(path: Path, *strings: str) -> str:
    """A file with a string on each line."""
    path.write_text("\n".join(strings) + "\n")
    return str(path)


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def trained(directory: Path, config: Experiment | None = None) -> tuple[Run, RunState]:
    run = create(config or experiment(), directory)
    done = train(run, console())
    assert done.finished
    return run, done.state


def measured(run: Run, state: RunState, *measurements: Measurement, **options: Any) -> dict[str, Any]:
    """The numbers of some measurements of a run, and what they carry with them."""
    return evaluate(subject_of(run, state), measurements, Options(**options))


def changed(config: Experiment, section: str, **fields: Any) -> Experiment:
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **fields)})


def assert_equal_states(a: Any, b: Any) -> None:
    """The same bits in every leaf."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


def read_cells(path: Path) -> dict[str, list[Any]]:
    """The columns of a table with types that keep every cell, None for a gap."""
    return {name: cells.known() for name, cells in read_columns(path).items()}
