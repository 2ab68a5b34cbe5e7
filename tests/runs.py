"""Runs small enough for tests."""

import dataclasses
import io
from pathlib import Path
from typing import Any

from rich.console import Console

from vae_jax.config import Data, Evaluate, Experiment, Model, Train
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
        evaluate=Evaluate(evaluation_samples=10),
    )


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
