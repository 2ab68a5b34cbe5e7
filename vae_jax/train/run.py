"""A run: the training program with a directory around it.

    RUN/config.json      every field of the experiment
    RUN/data.npz         what the model must know of its data, and a digest of them
    RUN/initial.npz      with --start-from, the parameters that it begins with
    RUN/metrics.jsonl    one line per epoch
    RUN/checkpoints/     everything needed to go on: parameters, optimiser, step, key, best so far
    RUN/snapshots/       parameters after each epoch of --snapshots
    RUN/evaluation.json, RUN/pictures/   written when training ends

Nothing is written before the config, the data and the model have been found to fit together.
"""

import dataclasses
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from vae_jax.config.fields import Data, Experiment
from vae_jax.config.rules import setting
from vae_jax.core.errors import ConfigError
from vae_jax.core.mesh import place, replicated
from vae_jax.core.seldom import jit_seldom
from vae_jax.core.trees import first_difference, num_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.data import Dataset, UnfitStringsError
from vae_jax.data.look import check_varies
from vae_jax.optimizers.rules import Schedule, make_optimizer, staged_schedule
from vae_jax.systems.parts.rate import settled_at
from vae_jax.systems.registry import build_system, validate, validate_new
from vae_jax.systems.system import Metrics, System
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.devices import check_compute, draws_of, mesh_for
from vae_jax.train.directory import check_directory, write_start
from vae_jax.train.files import CHECKPOINTS, CONFIG, MEMBERS, SNAPSHOTS, SWEEP, check_run, going_on, read_config
from vae_jax.train.initial import read_initial
from vae_jax.train.loop import RunState, num_steps
from vae_jax.train.made import check_numbers
from vae_jax.train.memory import check_memory, held_in_a_step
from vae_jax.train.nonfinite import Examined, examined
from vae_jax.train.outline import check_place, check_same, manner_of, outlined, read_outline
from vae_jax.train.program import (
    TrainState,
    epoch_by_epoch,
    epoch_order,
    initial_state,
    steps_per_epoch,
    train_in_order,
    train_on,
)
from vae_jax.train.source import check_reading, load_data, settled, warn_of_faults
from vae_jax.train.stream import check_stream, is_streamed, streamed
from vae_jax.train.validation import split_metrics


@dataclasses.dataclass(frozen=True)
class Run:
    """A run that is ready to train or to be looked at."""

    directory: Path
    config: Experiment
    dataset: Dataset
    system: System
    optimizer: optax.GradientTransformation
    steps_per_epoch: int
    learning_rate: Schedule | None
    """`step -> learning rate`, to be shown; None where the optimiser was made in Python."""

    @property
    def mesh(self) -> Mesh | None:
        """The devices that it is computed on; None for one."""
        batch_size, draws = self.config.train.batch_size, draws_of(self.config)
        return mesh_for(self.config.compute.mesh, batch_size=batch_size, num_samples=draws)

    @property
    def comparable(self) -> bool:
        """Whether the epoch with the smallest held-out loss is the one to keep."""
        return self.system.comparable

    @property
    def settled_at(self) -> float:
        """The share of the run after which the loss stays the same."""
        return settled_at(self.config.objective)

    def initial(self) -> RunState:
        """The state before the first step with parameters drawn by the seed, placed on the devices."""
        return place(jit_seldom(self._start, out_shardings=replicated())(np.int32(self.config.train.seed)))

    def begun(self, state: RunState) -> RunState:
        """The initial state with the parameters that the run begins with, which may be another run's."""
        if self.config.train.start_from is None:
            return state
        params = place(read_initial(self.directory, state.best_params))
        # Each with buffers of its own, since those of the state are given away.
        average = state.train.average
        if average is not None:
            average = jax.tree.map(lambda mean, leaf: jnp.array(leaf, mean.dtype), average, params)
        best = jax.tree.map(jnp.copy, params)
        return state._replace(train=state.train._replace(params=params, average=average), best_params=best)

    def abstract(self) -> RunState:
        """The shapes of the state."""
        return jax.eval_shape(self._start, np.int32(0))

    def _start(self, seed: Array) -> RunState:
        data, averaged = self.dataset.train.batch(), self.config.train.average_decay is not None
        key = jax.random.key(seed)
        state = initial_state(self.system, self.optimizer, self.dataset.prepare_training, data, key, averaged=averaged)
        best = jax.tree.map(jnp.copy, state.params)
        return RunState(state, best, jnp.float32(jnp.inf), jnp.int32(0), jnp.float32(0.0))

    def advance(self) -> Callable[[TrainState, int], TrainState]:
        """`(state, stop) -> state`, compiled: train until step `stop`. The buffers of the state are given away."""
        data, batch_size = self.dataset.train.batch(), self.config.train.batch_size
        options: dict[str, Any] = {"average_decay": self.config.train.average_decay or 0.0}
        options["precision"] = self.config.compute.precision
        model = self.system, self.optimizer, self.dataset.prepare_training
        if is_streamed(self.config.compute.stream, data):
            options["per_epoch"] = self.steps_per_epoch
            train = jax.jit(
                lambda state, block, first, stop: train_on(*model, block, state, stop, first=first, **options),
                donate_argnames="state",
            )
            return streamed(data, batch_size, train)
        program = partial(train_in_order, *model, batch_size=batch_size, **options)
        compiled = jax.jit(program, donate_argnames="state")
        data = place(data)
        order_of = jit_seldom(partial(epoch_order, size=num_examples(data)))
        return epoch_by_epoch(
            self.steps_per_epoch, order_of, lambda state, order, stop: compiled(data, order, state, stop)
        )

    def examined(self, state: TrainState) -> Examined:
        """The step after `state`, looked at."""
        options: Any = {"batch_size": self.config.train.batch_size, "precision": self.config.compute.precision}
        return examined(self.system, self.dataset.prepare_training, self.dataset.train.batch(), state, **options)

    def held_out(self) -> Callable[[Params], Metrics]:
        """`params -> metrics` on the validation split."""
        if len(self.dataset.validation.x) == 0:
            return lambda params: {}
        key, batch = held_out_batch(self.config.data, self.dataset)

        def metrics(params: Params, batch: Any) -> Metrics:
            # Schedules of the loss are taken at the end of the run, so that epochs can be compared.
            step = jnp.int32(num_steps(self))
            return split_metrics(self.system, params, key, batch, step, batch_size=self.config.train.batch_size)

        compiled = jit_seldom(metrics)
        return lambda params: compiled(params, batch)


def held_out_batch(data: Data, dataset: Dataset) -> tuple[Key, Any]:
    """A key for noise, and the prepared validation split: the same for every epoch and every member of a sweep."""
    prepare_key, loss_key = jax.random.split(jax.random.key(data.data_seed))
    return loss_key, place(dataset.prepare(prepare_key, dataset.validation.batch()))


def prepare_run(config: Experiment, directory: Path, *, shuffle_test: bool = True, gap_words: bool = True) -> Run:
    """Load the data, assemble the model and see, without computing, that they fit. Writes nothing.

    ConfigError, ValueError or FileNotFoundError with what to change.
    """
    validate(config)
    return assembled(config, directory, load_data(config, shuffle_test=shuffle_test, gap_words=gap_words))


def assembled(
    config: Experiment,
    directory: Path,
    dataset: Dataset,
    *,
    system: System | None = None,
    optimizer: optax.GradientTransformation | None = None,
) -> Run:
    """The run of a config on a dataset; `system` and `optimizer` where they were made in Python.

    ConfigError or ValueError where they do not fit.
    """
    system = system or build_system(config, dataset)
    per_epoch = steps_per_epoch(dataset.train.batch(), config.train.batch_size, config.train.epochs)
    num = per_epoch * config.train.epochs
    rate = staged_schedule(config, num) if optimizer is None else None
    run = Run(directory, config, dataset, system, optimizer or make_optimizer(config.optimizer, num), per_epoch, rate)
    state = run.abstract()
    check_memory(
        "the model",
        held_in_a_step(state, state.best_params),
        "Make it smaller: fewer --hidden, --latent-size, codes or classes.",
    )
    return run


# What to do about strings that do not fit: when a run is made with the flags of `train`, and when it is opened.
TO_TRAIN = "To train without them: --skip-strings."
TO_OPEN = "When this was trained all strings fitted: put the file, or the grammar, back as it was."


@contextmanager
def advising(advice: str) -> Iterator[None]:
    """Complain of strings that do not fit with this advice."""
    try:
        yield
    except UnfitStringsError as error:
        raise error.advising(advice) from None


@advising(TO_TRAIN)
def create(config: Experiment, directory: Path) -> Run:
    """A new run in an empty directory. ConfigError if it already holds a run."""
    check_directory(directory)
    run = prepare_run(validate_new(settled(validate(config))), directory)
    check_reading(run.config, run.dataset)
    check_varies(run.dataset)
    check_compute(run)
    check_stream(run.config.compute.stream, run.dataset.train.batch())
    initial = None if config.train.start_from is None else _params_of(Path(config.train.start_from), run)
    warn_of_faults(run.config, run.dataset)
    write_start(directory, run.config, run.dataset, initial=initial)
    return run


def _params_of(other: Path, run: Run) -> Params:
    """The best parameters of another run, with which `run` shall begin. ConfigError where they are not of its kind."""
    if (other / SWEEP).is_file():
        raise ConfigError(f"--start-from {other} is a sweep: name one of its members, in {other / MEMBERS}.")
    # The first process makes a run, while the others wait for it.
    model = open_model(other)
    params = load_state(model, alone=True).best_params
    if (difference := first_difference(params, run.abstract().best_params)) is not None:
        name, found, expected = difference
        raise ConfigError(
            f"--start-from {other} is of another architecture: {name} has shape {found} there and {expected} here. "
            f"Give the same flags of system, model and objective; {other / CONFIG} has them."
        )
    _warn_of_other_model(other, model.config, run.config)
    return params


def _warn_of_other_model(other: Path, theirs: Experiment, ours: Experiment) -> None:
    """A warning where parameters have the same shapes, and mean something else."""
    there, here = ({"system": config.system} | dataclasses.asdict(config.model) for config in (theirs, ours))
    changed = [
        f"{setting(name, there[name])} there, {setting(name, here[name])} here"
        for name in there
        if there[name] != here[name]
    ]
    if changed:
        warnings.warn(f"--start-from {other} was trained as another model: {'; '.join(changed)}.", stacklevel=3)


@advising(TO_OPEN)
def open_run(directory: Path) -> Run:
    """The run of a directory with its data. RequestError if the data have changed.

    ConfigError if there is none, or where its model is of a file that was edited since.
    """
    config = read_config(directory)
    check_run(directory)
    check_place(config.data, directory)
    run = prepare_run(config, directory, **manner_of(directory))
    check_same(directory, run.dataset)
    check_numbers(directory, run)
    return run


def open_model(directory: Path) -> Run:
    """The run of a directory without its data, which may have moved. ConfigError if there is none.

    Zeros stand for the data. A run of version 0.1.0 kept no outline of them, so they are read.
    """
    config = read_config(directory)
    check_run(directory)
    outline = read_outline(directory)
    if outline is None:
        return open_run(directory)
    config = validate(config)
    return assembled(config, directory, outlined(config, outline))


def newest_state(run: Run, *, alone: bool = False) -> RunState | None:
    """The newest whole checkpoint of a run; None where there is none yet. `alone`: as for `Checkpoints`."""
    folder = run.directory / CHECKPOINTS
    if not folder.is_dir():
        return None
    checkpoints = Checkpoints(folder, read_only=True, alone=alone)
    state = checkpoints.restore(run.initial())
    checkpoints.close()
    return state


def load_state(run: Run, *, alone: bool = False) -> RunState:
    """The newest checkpoint of a run that has best parameters. ConfigError if there is none yet.

    `alone`: as for `Checkpoints`.
    """
    state = newest_state(run, alone=alone)
    if state is None:
        raise ConfigError(f"{run.directory} holds no checkpoint yet. Train it with: {going_on(run.directory)}")
    return with_best(run, state)


def with_best(run: Run, state: RunState) -> RunState:
    """The state. ConfigError unless it has best parameters: until an epoch has ended they are those of the start."""
    if int(state.best_epoch) == 0:
        raise ConfigError(
            f"{run.directory} holds no finished epoch, so no best parameters, yet. Train it with: "
            f"{going_on(run.directory)}"
        )
    return state


def load_snapshot(run: Run, epoch: int) -> Params:
    """The parameters that a run measured after `epoch`. ConfigError if it kept none (`--snapshots`)."""
    folder = run.directory / SNAPSHOTS
    snapshots = Checkpoints(folder, read_only=True) if folder.is_dir() else None
    params = snapshots.restore(run.initial().best_params, epoch) if snapshots else None
    if snapshots is None or params is None:
        epochs = " ".join(map(str, snapshots.numbers())) if snapshots else "none"
        raise ConfigError(f"{run.directory} kept no snapshot of epoch {epoch}; those it has: {epochs}.")
    snapshots.close()
    return params
