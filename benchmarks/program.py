"""The compiled training program of a config on random images, for the scripts that time its steps."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import optax

from vae_jax.config import Experiment
from vae_jax.config.compute import Precision
from vae_jax.data.dataset import Dataset, Split
from vae_jax.systems.vae import build
from vae_jax.train import initial_state, train_until


def images(size: int = 60_000, shape: tuple[int, ...] = (28, 28, 1)) -> np.ndarray:
    """Random images, by default as many and as large as MNIST's. Speed does not depend on what they show."""
    return np.random.default_rng(0).integers(0, 256, (size, *shape)).astype(np.uint8)


def training_data(x: np.ndarray, *, binarisation: Any = "dynamic") -> Dataset:
    """A dataset of nothing but training images."""
    nothing = Split(x[:0], None)
    return Dataset("random", Split(x, None), nothing, nothing, levels=255, binarisation=binarisation, seed=0)


def program(
    config: Experiment,
    data: Dataset,
    *,
    batch_size: int,
    optimizer: optax.GradientTransformation | None = None,
    precision: Precision = "device",
) -> tuple[Any, Callable[[Any, int], Any]]:
    """The state before the first step, and `(state, stop) -> state`, which trains until that step. By default Adam."""
    system, tx, stored = build(config, data), optimizer or optax.adam(1e-3), jax.device_put(data.train.batch())

    @jax.jit
    def run(state: Any, stored: Any, stop: Any) -> Any:
        options: Any = {"batch_size": batch_size, "precision": precision}
        return train_until(system, tx, data.prepare, stored, state, stop, **options)

    state = initial_state(system, tx, data.prepare, stored, jax.random.key(0))
    return state, lambda state, stop: run(state, stored, stop)


def milliseconds(
    programs: Mapping[Any, tuple[Any, Callable[[Any, int], Any]]], *, rounds: int, steps: int | Mapping[Any, int]
) -> Any:
    """`{name: [rounds]}`: what a step of each program takes. Runs of `steps` steps alternate; the first is left out.

    `steps`: of all programs, or of each by its name.
    """
    counts = dict.fromkeys(programs, steps) if isinstance(steps, int) else steps
    states, times = {name: state for name, (state, _) in programs.items()}, {name: [] for name in programs}
    for number in range(1, rounds + 2):
        for name, (_, run) in programs.items():
            began = time.perf_counter()
            states[name] = jax.block_until_ready(run(states[name], number * counts[name]))
            times[name].append((time.perf_counter() - began) / counts[name] * 1e3)
    # The first round holds the compilation.
    return {name: np.asarray(each[1:]) for name, each in times.items()}
