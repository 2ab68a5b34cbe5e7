"""Runs small enough for tests."""

import dataclasses
import io
from pathlib import Path
from typing import Any

from rich.console import Console

from vae_jax.config import Data, Evaluate, Experiment, Model, Train
from vae_jax.train.loop import RunState, train
from vae_jax.train.run import Run, create


def experiment(dataset: str = "digits", **train: Any) -> Experiment:
    binary = dataset == "digits"
    return Experiment(
        "a test",
        Data(dataset, binarisation="dynamic" if binary else "none", stand_in=True),
        Model(hidden=(16,), latent_size=2, likelihood="bernoulli" if binary else "normal"),
        train=Train(**{"epochs": 3, "batch_size": 32, **train}),
        evaluate=Evaluate(evaluation_samples=10),
    )


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def trained(directory: Path, config: Experiment | None = None) -> tuple[Run, RunState]:
    run = create(config or experiment(), directory)
    state, finished, _ = train(run, console())
    assert finished
    return run, state


def changed(config: Experiment, section: str, **fields: Any) -> Experiment:
    return dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **fields)})
