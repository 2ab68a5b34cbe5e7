"""A run: the training program with a directory around it.

    RUN/config.json      every field of the experiment
    RUN/metrics.jsonl    one line per epoch
    RUN/checkpoints/     everything needed to go on: parameters, optimiser, step, key, best so far
    RUN/snapshots/       parameters after each epoch of --snapshots
    RUN/evaluation.json, RUN/pictures/   written when training ends

Nothing is written before the config, the data and the model have been found to fit together.
"""

import dataclasses
import importlib
import json
import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from rich.console import Console

from vae_jax.config import ConfigError, Data, Experiment, from_json, to_json
from vae_jax.data import Dataset, Square, load, stand_in
from vae_jax.distributions import Array, Key
from vae_jax.model import Params
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.systems.system import System
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.optimizer import make_optimizer, make_schedule
from vae_jax.train.program import (
    TrainState,
    initial_state,
    mean_metrics,
    measured_params,
    steps_per_epoch,
    train_until,
)
from vae_jax.train.progress import Display
from vae_jax.train.validation import split_metrics
from vae_jax.validate import validate


class TrainingError(RuntimeError):
    """Training cannot go on; the message says what to try."""


class RunState(NamedTuple):
    """The one tree of a checkpoint."""

    train: TrainState
    best_params: Params
    best_loss: Array
    best_epoch: Array
    seconds: Array


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is ready to train or to be looked at."""

    directory: Path
    config: Experiment
    dataset: Dataset
    system: System
    optimizer: optax.GradientTransformation
    steps_per_epoch: int

    @property
    def num_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self.config.train.epochs

    @property
    def metrics_file(self) -> Path:
        """One JSON object per epoch."""
        return self.directory / "metrics.jsonl"

    def initial(self) -> RunState:
        """The state before the first step, placed on the device."""
        data = self.dataset.train.batch()
        averaged = self.config.train.average_decay is not None

        def start(key: Key) -> TrainState:
            return initial_state(self.system, self.optimizer, self.dataset.prepare, data, key, averaged=averaged)

        state = jax.jit(start)(jax.random.key(self.config.train.seed))
        infinity = jnp.float32(jnp.inf)
        return _place(RunState(state, state.params, infinity, jnp.int32(0), jnp.float32(0.0)))


def _place(tree: Any) -> Any:
    # Orbax restores committed arrays. Fresh ones are committed too, or the program would be traced twice.
    return jax.device_put(tree, jax.devices()[0])


def square_of(data: Data) -> Square | None:
    """What the images of a config are cut and scaled to."""
    return None if data.image_size is None else Square(data.image_size, data.image_crop)


def prepare_run(config: Experiment, directory: Path) -> Run:
    """Load the data, assemble the model and see, without computing, that they fit. Writes nothing.

    ConfigError, ValueError or FileNotFoundError with what to change.
    """
    validate(config)
    data = config.data
    square = square_of(data)
    if data.stand_in:
        dataset = stand_in(
            data.dataset, binarisation=data.binarisation, levels=data.levels, square=square, seed=data.data_seed
        )
    else:
        dataset = load(
            data.dataset,
            data_dir=data.data_dir,
            binarisation=data.binarisation,
            validation_size=data.validation_size,
            levels=data.levels,
            square=square,
            label=data.label,
            seed=data.data_seed,
        )
    if LIKELIHOODS[config.model.likelihood].of == "counts":
        dataset = dataclasses.replace(dataset, as_counts=True)
    try:
        build = importlib.import_module(f"vae_jax.systems.{config.system}").build
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(
            f"no system {config.system!r}: vae_jax/systems/{config.system}.py with a function build is not there."
        ) from error
    if config.train.patience is not None and len(dataset.validation.x) == 0:
        raise ConfigError(
            f"--patience {config.train.patience} waits for a better validation loss, but --validation-size is 0."
        )
    system = build(config, dataset)
    per_epoch = steps_per_epoch(dataset.train.batch(), config.train.batch_size)
    optimizer = make_optimizer(config.optimizer, per_epoch * config.train.epochs)
    run = Run(directory, config, dataset, system, optimizer, per_epoch)
    jax.eval_shape(run.initial)
    return run


def create(config: Experiment, directory: Path) -> Run:
    """A new run in an empty directory. ConfigError if it already holds a run."""
    if (directory / "config.json").exists():
        raise ConfigError(
            f"{directory} already holds a run. Continue it with: vae-jax resume {directory}; or name another with "
            "--out."
        )
    # Orbax takes these for patterns, and saves checkpoints that it cannot find again.
    if any(character in str(directory.absolute()) for character in "[]*?"):
        raise ConfigError(f"the path of a run must not hold any of [ ] * ?, got {directory}. Name another with --out.")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(f"{directory} is not an empty directory. Name another with --out.")
    run = prepare_run(config, directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / "config.json", to_json(config))
    return run


def open_run(directory: Path) -> Run:
    """The run of a directory. ConfigError if there is none."""
    file = directory / "config.json"
    if not file.is_file():
        raise ConfigError(
            f"{directory} holds no run (no config.json). Start one with: vae-jax train CONFIG --out {directory}"
        )
    try:
        config = from_json(file.read_text())
    except (json.JSONDecodeError, TypeError) as error:
        raise ConfigError(f"{file} is not the config of a run ({error}). Restore it, or start a new run.") from error
    return prepare_run(config, directory)


def load_state(run: Run) -> RunState:
    """The newest checkpoint of a run. ConfigError if there is none yet."""
    folder = run.directory / "checkpoints"
    if not folder.is_dir():
        raise ConfigError(f"{run.directory} holds no checkpoint yet. Train it with: vae-jax resume {run.directory}")
    checkpoints = Checkpoints(folder, read_only=True)
    state = checkpoints.restore(run.initial())
    checkpoints.close()
    if state is None or int(state.best_epoch) == 0:
        what = "checkpoint" if state is None else "finished epoch, so no best parameters,"
        raise ConfigError(f"{run.directory} holds no {what} yet. Train it with: vae-jax resume {run.directory}")
    return state


def load_snapshot(run: Run, epoch: int) -> Params:
    """The parameters that a run measured after `epoch`. ConfigError if it kept none (`--snapshots`)."""
    folder = run.directory / "snapshots"
    snapshots = Checkpoints(folder, read_only=True) if folder.is_dir() else None
    params = snapshots.restore(run.initial().best_params, epoch) if snapshots else None
    if snapshots is None or params is None:
        kept = " ".join(map(str, snapshots.numbers())) if snapshots else "none"
        raise ConfigError(f"{run.directory} kept no snapshot of epoch {epoch}; those it has: {kept}.")
    snapshots.close()
    return params


class Trained(NamedTuple):
    """Where training came to: `finished` unless a signal stopped it, `moved` unless there was nothing left to do."""

    state: RunState
    finished: bool
    moved: bool


def train(run: Run, console: Console) -> Trained:
    """Train from the newest checkpoint, or from the start, to the end.

    SIGINT and SIGTERM stop after the chunk that is running, with a checkpoint; then `finished` is False.
    TrainingError if the loss is no longer finite (the last checkpoint stays).
    """
    checkpoints = Checkpoints(run.directory / "checkpoints", keep=2)
    snapshots = Checkpoints(run.directory / "snapshots") if run.config.train.snapshots else None
    state = run.initial()
    restored = checkpoints.restore(state)
    if restored is not None:
        state = _place(restored)
    start = int(state.train.step)
    _keep_metrics(run.metrics_file, up_to=start)
    try:
        with _Interruption() as interruption:
            state = _train_chunks(run, state, checkpoints, snapshots, console, interruption)
        checkpoints.save(int(state.train.step), state)
    finally:
        checkpoints.close()
        if snapshots is not None:
            snapshots.close()
    return Trained(state, not interruption.requested, int(state.train.step) > start)


def _train_chunks(
    run: Run,
    state: RunState,
    checkpoints: Checkpoints,
    snapshots: Checkpoints | None,
    console: Console,
    interruption: "_Interruption",
) -> RunState:
    train_config = run.config.train
    batch_size, per_epoch = train_config.batch_size, run.steps_per_epoch
    rate = make_schedule(run.config.optimizer, run.num_steps)
    data = _place(run.dataset.train.batch())
    options = {"batch_size": batch_size, "average_decay": train_config.average_decay or 0.0}
    advance = jax.jit(
        lambda state, data, stop: train_until(
            run.system, run.optimizer, run.dataset.prepare, data, state, stop, **options
        )
    )
    validation_loss = _validation(run)
    began = time.monotonic() - float(state.seconds)
    saved = time.monotonic()
    step, chunk = int(state.train.step), 1
    shown = Display(console, start=step, steps=run.num_steps, per_epoch=per_epoch, batch_size=batch_size)
    held_out: dict[str, float] = {}
    with shown as display:
        while step < run.num_steps and not _exhausted(run, state, step) and not interruption.requested:
            stop = min(step + chunk, (step // per_epoch + 1) * per_epoch)
            started = time.monotonic()
            trained = jax.block_until_ready(advance(state.train, data, jnp.int32(stop)))
            pace = (time.monotonic() - started) / (stop - step)
            chunk = max(1, min(int(train_config.chunk_seconds / pace), 8 * chunk))
            step = stop
            state = state._replace(train=trained, seconds=jnp.float32(time.monotonic() - began))
            means = {name: float(value) for name, value in mean_metrics(trained, per_epoch).items()}
            if not math.isfinite(means["loss"]):
                raise TrainingError(
                    f"the loss became {means['loss']} before step {step}. Try a lower --learning-rate, or "
                    f"--clip-norm 10. The last checkpoint in {run.directory} is from before."
                )
            learning_rate = float(rate(step))
            if step % per_epoch == 0:
                epoch = step // per_epoch
                params = measured_params(trained)
                held_out = validation_loss(params)
                score = held_out["loss"] if held_out else means["loss"]
                # Without held-out examples there is nothing to choose by: the last epoch is taken.
                if not held_out or score < float(state.best_loss):
                    state = state._replace(
                        best_params=params, best_loss=jnp.float32(score), best_epoch=jnp.int32(epoch)
                    )
                if snapshots is not None and epoch in train_config.snapshots:
                    snapshots.save(epoch, params)
                line = {"epoch": epoch, "step": step, "train": means, "validation": held_out}
                line |= {"learning_rate": learning_rate, "seconds": float(state.seconds)}
                with run.metrics_file.open("a") as file:
                    file.write(json.dumps(line) + "\n")
            display.update(step, metrics=means, learning_rate=learning_rate, validation=held_out)
            state = _place(state)
            if time.monotonic() - saved >= train_config.save_seconds:
                checkpoints.save(step, state)
                saved = time.monotonic()
    return state


def _validation(run: Run) -> Callable[[Params], dict[str, float]]:
    """`params -> metrics` on the validation split, always with the same bits and the same noise."""
    if len(run.dataset.validation.x) == 0:
        return lambda params: {}
    prepare_key, loss_key = jax.random.split(jax.random.key(run.config.data.data_seed))
    batch = _place(run.dataset.prepare(prepare_key, run.dataset.validation.batch()))

    def metrics(params: Params, batch: Any) -> Any:
        # Schedules of the loss are taken at the end of the run, so that epochs can be compared.
        step = jnp.int32(run.num_steps)
        return split_metrics(run.system, params, loss_key, batch, step, batch_size=run.config.train.batch_size)

    compiled = jax.jit(metrics)
    return lambda params: {name: float(value) for name, value in compiled(params, batch).items()}


def _exhausted(run: Run, state: RunState, step: int) -> bool:
    patience = run.config.train.patience
    waited = step // run.steps_per_epoch - int(state.best_epoch)
    return patience is not None and step % run.steps_per_epoch == 0 and waited >= patience


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _keep_metrics(path: Path, *, up_to: int) -> None:
    """Drop the lines of epochs after the checkpoint: they will be written again."""
    kept = [line for line in read_metrics(path) if line["step"] <= up_to]
    write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


class _Interruption:
    """While active, SIGINT and SIGTERM set `requested`; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Interruption":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: Any) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
