"""The loop around the training program: chunks, checkpoints, metrics, signals. The same for one run and for a sweep.

What is trained may have one member or many: then parameters, losses and metrics have a leading axis of members, and so
have the numbers in metrics.jsonl. The step number is one for all.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import BROKEN_PIPE
from vae_jax.core.files import write_json
from vae_jax.core.mesh import on, place
from vae_jax.core.seldom import jit_seldom
from vae_jax.core.types import Array, Params, PyTree
from vae_jax.data import Dataset
from vae_jax.optimizers.rules import Schedule
from vae_jax.systems.system import LEAST_UNKNOWN, Metrics
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import (
    CHECKPOINTS,
    NONFINITE,
    SNAPSHOTS,
    add_metrics,
    is_of_a_command,
    read_metrics,
    read_skips,
    write_metrics,
    write_skips,
)
from vae_jax.train.interruption import Interruption
from vae_jax.train.nonfinite import Examined, again, last_finite, remedy
from vae_jax.train.processes import agreed, here, own_folder
from vae_jax.train.program import TrainState, is_finite, mean_metrics, measured_params, steps_taken, without_step
from vae_jax.train.progress import Display
from vae_jax.train.trackers import Tracker, flat, tracked

# The share of the steps of an epoch that may be left out for their large gradients without a word.
_MOST_LEFT_OUT = 0.5


class TrainingError(RuntimeError):
    """Training cannot go on; the message says what to try."""


class RunState(NamedTuple):
    """The one tree of a checkpoint."""

    train: TrainState
    best_params: Params
    best_loss: Array
    best_epoch: Array
    seconds: Array


class Trainable(Protocol):
    """What the loop trains: a run, or a sweep of many."""

    @property
    def directory(self) -> Path:
        """Where everything is written."""
        ...

    @property
    def config(self) -> Experiment:
        """What is trained; of a sweep, what its members have in common."""
        ...

    @property
    def dataset(self) -> Dataset:
        """The data."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in one pass over the training split."""
        ...

    @property
    def mesh(self) -> Mesh | None:
        """The devices that it is computed on; None for one."""
        ...

    @property
    def comparable(self) -> bool:
        """Whether the epoch with the smallest held-out loss is the one to keep."""
        ...

    @property
    def learning_rate(self) -> Schedule | None:
        """`step -> learning rate`, to be shown; None where it is not known."""
        ...

    @property
    def settled_at(self) -> float:
        """The share of the run after which the loss stays the same, of every member."""
        ...

    def initial(self) -> RunState:
        """The state before the first step, as it is drawn, placed on the device."""
        ...

    def begun(self, state: RunState) -> RunState:
        """The initial state as training begins with it."""
        ...

    def advance(self) -> Callable[[TrainState, int], TrainState]:
        """`(state, stop) -> state`, compiled: train until step `stop`. The buffers of the state are given away."""
        ...

    def examined(self, state: TrainState) -> Examined:
        """The step after `state`, looked at."""
        ...

    def held_out(self) -> Callable[[Params], Metrics]:
        """`params -> metrics` on the validation split, always with the same bits and noise; {} where there is none."""
        ...


class Trained(NamedTuple):
    """Where training came to: the `signal` that stopped it, `moved` unless there was nothing left to do."""

    state: RunState
    signal: int | None
    moved: bool

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.signal is None


def num_steps(run: Trainable) -> int:
    """Steps of the whole run."""
    return run.steps_per_epoch * run.config.train.epochs


def train(run: Trainable, console: Console, *, ends: bool = True) -> Trained:
    """Train from the newest checkpoint, or from the start, to the end.

    SIGINT and SIGTERM stop after the chunk that is running, with a checkpoint; then `signal` is its number. A second
    one ends the process at once, where `ends`.
    TrainingError if a step is not finite, and none may be left out; then the state before it is saved. Members of a
    sweep go on each by itself, and it is raised when none of them is finite any more.
    """
    with on(run.mesh), own_folder(run, console) as (own, console):
        checkpoints = Checkpoints(run.directory / CHECKPOINTS, keep=2)
        snapshots = Checkpoints(run.directory / SNAPSHOTS) if run.config.train.snapshots else None
        return _train(own, checkpoints, snapshots, console, ends)


def _train(
    run: Trainable, checkpoints: Checkpoints, snapshots: Checkpoints | None, console: Console, ends: bool
) -> Trained:
    state = _newest(run, checkpoints)
    start = int(state.train.step)
    given = [state]
    # Its best parameters shall not stay beside those that come after.
    del state
    lines = read_metrics(run.directory)
    # Epochs after the checkpoint will be written again.
    write_metrics(run.directory, [line for line in lines if line["step"] <= start])
    write_skips(run.directory, [step for step in read_skips(run.directory) if step < start])
    (run.directory / NONFINITE).unlink(missing_ok=True)
    try:
        with Interruption(console, ends=ends) as interruption, tracked(run.config, run.directory) as tracker:
            state, signal = _train_chunks(run, given.pop(), checkpoints, snapshots, console, interruption, tracker)
        checkpoints.save(int(state.train.step), state)
    finally:
        checkpoints.close()
        if snapshots is not None:
            snapshots.close()
    return Trained(here(state), signal, int(state.train.step) > start)


def _newest(run: Trainable, checkpoints: Checkpoints) -> RunState:
    """The state of the newest checkpoint, or that before the first step."""

    def outline(leaf: Array) -> Any:
        # Orbax wants keys as they are.
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return leaf if is_key else jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)

    state = run.initial()
    if checkpoints.newest() is None:
        return run.begun(state)
    template = jax.tree.map(outline, state)
    # The device may have memory for one.
    del state
    restored = checkpoints.restore(template)
    # It may have been deleted meanwhile.
    return run.begun(run.initial()) if restored is None else place(restored)


def _train_chunks(
    run: Trainable,
    state: RunState,
    checkpoints: Checkpoints,
    snapshots: Checkpoints | None,
    console: Console,
    interruption: Interruption,
    tracker: Tracker,
) -> tuple[RunState, int | None]:
    train_config = run.config.train
    batch_size, per_epoch, last = train_config.batch_size, run.steps_per_epoch, num_steps(run)
    advance, held_out_metrics, finite = run.advance(), run.held_out(), jit_seldom(is_finite)
    # One program each: JAX would compile one for each of their operations, which is much of a command's first second.
    means_of = jit_seldom(mean_metrics, static_argnums=1)
    rate_at = run.learning_rate and jit_seldom(run.learning_rate)
    # A sweep builds a system to say so.
    comparable = run.comparable
    began = time.monotonic() - float(state.seconds)
    saved = time.monotonic()
    step, chunk, signal = int(state.train.step), 1, _noticed(interruption)
    shown = Display(console, start=step, steps=last, per_epoch=per_epoch, batch_size=batch_size)
    held_out: dict[str, np.ndarray] = {}
    with shown as display:
        while step < last and not _exhausted(run, state, step) and signal is None:
            stop = min(step + chunk, (step // per_epoch + 1) * per_epoch)
            started = time.monotonic()
            trained = jax.block_until_ready(advance(state.train, stop))
            pace = (time.monotonic() - started) / (stop - step)
            due = time.monotonic() - saved >= train_config.save_seconds
            # Some clocks stand still for 16 ms.
            chunk = max(1, min(int(train_config.chunk_seconds / max(pace, 1e-9)), 8 * chunk))
            # A member of a sweep goes on by itself.
            if trained.metrics["loss"].ndim == 0 and not finite(trained):
                # The state before was given away. What was saved comes to the same bits.
                del trained
                checkpoints.wait()
                since = again(
                    *(advance, _newest(run, checkpoints).train, step),
                    skips=read_skips(run.directory),
                    per_epoch=per_epoch,
                    # The same in all processes, which each have a pace of their own.
                    chunk=stop - step,
                    stopped=lambda: _noticed(interruption) is not None,
                )
                if int(since.step) < step:
                    state = state._replace(train=since)
                    break
                if not finite(since):
                    raise TrainingError(
                        f"training is not finite after step {step}, and repeated from the newest checkpoint it came to "
                        "other numbers: the loss depends on more than its arguments."
                    )
                trained = _over_the_bad_step(run, state, last_finite(advance, since, stop), checkpoints)
            step = int(trained.step)
            decided, noticed = agreed((chunk, due, time.monotonic() - began), interruption.signal or 0)
            chunk, due, signal = int(decided[0]), bool(decided[1]), noticed or None
            state = state._replace(train=trained, seconds=np.float32(decided[2]))
            epoch_began = (step - 1) // per_epoch * per_epoch
            skips = read_skips(run.directory)
            skipped = sum(skip >= epoch_began for skip in skips)
            means = _numbers(means_of(trained, per_epoch, skipped))
            if means["loss"].ndim and not np.isfinite(means["loss"]).any():
                newest = checkpoints.newest()
                left = "Nothing was kept of it." if newest is None else f"The checkpoint of step {newest} stays."
                raise TrainingError(
                    f"the loss of every member became nan before step {step}. {remedy(run.config, run.dataset)} {left}"
                )
            taken = steps_taken(trained, len(skips))
            learning_rate = None if rate_at is None else float(rate_at(taken))
            if step % per_epoch == 0:
                epoch = step // per_epoch
                params = measured_params(trained)
                held_out = _numbers(held_out_metrics(params))
                state = _kept(state, params, means, held_out if comparable else {}, epoch)
                if snapshots is not None and epoch in train_config.snapshots:
                    snapshots.save(epoch, params)
                    # A checkpoint that is written before it would go on past it.
                    snapshots.wait()
                line = {"epoch": epoch, "step": step, "train": _plain(means), "validation": _plain(held_out)}
                line |= {"learning_rate": learning_rate, "seconds": float(state.seconds)}
                add_metrics(run.directory, line)
                tracker.log(step, flat(line))
                if np.min(means.get("left_out", 0.0)) > _MOST_LEFT_OUT:
                    warnings.warn(_much_left_out(run.config.optimizer.skip_norm), stacklevel=2)
            try:
                display.update(step, metrics=_mean(means), learning_rate=learning_rate, validation=_mean(held_out))
            except BrokenPipeError:
                # Nobody reads any more: what was trained is saved, as at a signal.
                interruption.signal = interruption.signal or BROKEN_PIPE
            # Orbax restores committed arrays. Fresh ones are committed too, or the program would be traced twice.
            state = place(state)
            if due:
                checkpoints.save(step, state)
                saved = time.monotonic()
    # One that came in the last validation was answered too.
    return state, signal or _noticed(interruption)


def _noticed(interruption: Interruption) -> int | None:
    """The signal that any of the processes was sent."""
    return agreed((), interruption.signal or 0)[1] or None


def _much_left_out(norm: float | None) -> str:
    said = "most steps of an epoch are left out, and nothing is learned from them"
    # An optimiser that was made in Python has a rule of its own.
    if norm is None:
        return f"{said}: the optimiser says so."
    return (
        f"{said}: their gradients are larger than --skip-norm {norm:g}. Raise it, or use --skip-norm None "
        f"--clip-norm {norm:g}, which makes them shorter."
    )


def _numbers(metrics: Metrics) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in here(metrics).items()}


def _over_the_bad_step(run: Trainable, state: RunState, before: TrainState, checkpoints: Checkpoints) -> TrainState:
    """The state after a step that is left out, since its loss or gradient is not finite.

    TrainingError where none may be left out; the state before it is saved then, and what the step computes.
    """
    config, step = run.config.train, int(before.step)
    skips = read_skips(run.directory)
    if config.on_nonfinite == "skip" and len(skips) < config.most_skips:
        write_skips(run.directory, [*skips, step])
        warnings.warn(f"step {step} is left out: its loss or a gradient is not finite.", stacklevel=2)
        return without_step(before, run.steps_per_epoch)
    checkpoints.save(step, state._replace(train=before))
    examined = run.examined(before)
    write_json(run.directory / NONFINITE, examined._asdict())
    left_out = f" {len(skips)} such steps were left out before." if skips else ""
    look = f"vae-jax debug {run.directory}" if is_of_a_command(run.config) else str(run.directory / NONFINITE)
    raise TrainingError(
        f"step {step} is not finite ({examined.summary}).{left_out} {remedy(run.config, run.dataset)} "
        f"The state before it is kept; look at the step: {look}"
    )


def _kept(
    state: RunState, params: Params, means: dict[str, np.ndarray], held_out: dict[str, np.ndarray], epoch: int
) -> RunState:
    """The state with the best parameters so far, of each member, after `epoch`."""
    score = (held_out or means)["loss"]
    # Where there is nothing to choose by, the last epoch is taken.
    least = np.asarray(here(state.best_loss))
    known = np.isfinite(score) & np.isnan(least)
    better: Any = (score < least) | known if held_out else np.ones(score.shape, bool)
    # A run that is not finite has stopped before: then it is the validation split that has no likelihood.
    if score.ndim == 0 and not np.isfinite(score) and not np.isfinite(least):
        warnings.warn(
            f"the validation loss is {score:g}, so no epoch is better than another by it, and the last one is kept. "
            "Look at the validation split: an example of it may be of another kind.",
            stacklevel=2,
        )
        better = np.ones(score.shape, bool)
    best = state.best_params, state.best_loss, state.best_epoch
    best_params, best_loss, best_epoch = _chosen(better, (params, score, epoch), best)
    return state._replace(best_params=best_params, best_loss=best_loss, best_epoch=best_epoch)


@jax.jit
def _chosen(better: Array, new: PyTree, old: PyTree) -> PyTree:
    """The new arrays where they are better, of each member, and else the old ones."""

    def chosen(new: Array, old: Array) -> Array:
        return jnp.where(better.reshape(better.shape + (1,) * (new.ndim - better.ndim)), new, old)

    return jax.tree.map(chosen, jax.tree.map(jnp.asarray, new), old)


def _plain(metrics: dict[str, np.ndarray]) -> dict[str, Any]:
    """For JSON: a number, or a list with a number of each member.

    An accuracy is left out where some labels are not known.
    """
    known = {name: np.asarray(value, np.float64) for name, value in metrics.items()}
    unknown = known.get("accuracy", np.zeros(())).max() > LEAST_UNKNOWN
    return {name: value.tolist() for name, value in known.items() if not (name == "accuracy" and unknown)}


def _mean(metrics: dict[str, np.ndarray]) -> dict[str, float]:
    """What one line can show of many members."""
    return {name: float(np.mean(value)) for name, value in metrics.items()}


def _exhausted(run: Trainable, state: RunState, step: int) -> bool:
    patience = run.config.train.patience
    if patience is None or step % run.steps_per_epoch:
        return False
    # Validation weighs the KL as the end of the run does: before that a better model has a worse loss.
    settled = run.settled_at * run.config.train.epochs
    return step // run.steps_per_epoch - max(settled, int(np.asarray(here(state.best_epoch)).max())) >= patience
