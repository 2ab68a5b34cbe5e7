"""Train from Python, and what can be done with a run: `fit`, `open_run` and `Fitted`."""

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import optax
from rich.console import Console

from vae_jax.config.compute import Compute
from vae_jax.config.fields import Evaluate, Optimizer, Train
from vae_jax.config.rules import plain
from vae_jax.core.checks import check_count
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Params
from vae_jax.measure.evaluation import evaluate, first_measurements, write_evaluation
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import Subject, subject_of
from vae_jax.models.vae import VAE, Autoencoder
from vae_jax.objectives.estimators import Estimate
from vae_jax.pictures.run import write_pictures
from vae_jax.report.export import write_export
from vae_jax.systems.registry import IN_PYTHON
from vae_jax.systems.system import System
from vae_jax.train.directory import directory_of_its_own
from vae_jax.train.files import ARRAYS, EXPORT, is_of_a_command, read_config, read_metrics
from vae_jax.train.lock import writing
from vae_jax.train.loop import RunState, num_steps, train
from vae_jax.train.outline import check_same, manner_of
from vae_jax.train.python import (
    BY_DEFAULT,
    absolute,
    as_dataset,
    check_optimizer,
    python_run,
    source_of,
    system_from,
    system_to_open,
)
from vae_jax.train.run import Run, assembled, load_state, with_best
from vae_jax.train.run import open_run as open_configured
from vae_jax.train.trackers import flat


@dataclasses.dataclass(frozen=True, repr=False)
class Fitted:
    """A trained run: its best parameters, its history, and what it can be asked for.

    `state` is the whole state of training; `directory` holds all of it, and `vae-jax` commands read it where the model
    is one that they can make.
    """

    run: Run
    state: RunState

    def __repr__(self) -> str:
        # Data and parameters would fill a notebook.
        step, last = int(self.state.train.step), num_steps(self.run)
        return f"Fitted({str(self.directory)!r}, step {step} of {last})"

    @property
    def directory(self) -> Path:
        """Where everything is written."""
        return self.run.directory

    @property
    def params(self) -> Params:
        """The parameters of the epoch with the best validation loss, or the last where two cannot be compared.

        ConfigError where training was stopped before an epoch had ended.
        """
        return with_best(self.run, self.state).best_params

    @property
    def vae(self) -> VAE | Autoencoder:
        """The model: three pure functions, two of an autoencoder. RequestError where the system has none."""
        return self.subject.coder

    @property
    def history(self) -> list[dict[str, float]]:
        """A flat dict for each epoch, as a DataFrame takes them: `epoch`, `step`, `train_loss`, `validation_loss`, …"""
        lines = read_metrics(self.directory)
        return [{"step": line["step"], "seconds": line["seconds"], **flat(line)} for line in lines]

    @cached_property
    def subject(self) -> Subject:
        """What the measurements and the pictures look at."""
        return subject_of(self.run, with_best(self.run, self.state))

    def evaluate(self, *, k: int | None = None, seed: int = 0, console: Console | None = None) -> dict[str, Any]:
        """What `vae-jax train` measures at its end, on the test split, by name; kept in RUN/evaluation.json.

        `k`: samples of z for log p(x); by default those of the run, or up to 16 times as many where they are not
        enough. Every number is in nats per example where it is not said.
        """
        subject = self.subject
        if k is not None:
            check_count("Fitted.evaluate", "k", k)
            measured = dataclasses.replace(self.run.config.evaluate, evaluation_samples=plain(k))
            config = dataclasses.replace(self.run.config, evaluate=measured)
            subject = subject_of(dataclasses.replace(self.run, config=config), self.state)
        options = Options(seed, grows=k is None, console=console)
        result = evaluate(subject, first_measurements(self.run.config), options)
        write_evaluation(subject, result)
        return result

    def pictures(self) -> list[Path]:
        """Draw every picture that suits the model into RUN/pictures; returns their paths."""
        return write_pictures(self.subject)

    def export(self, out: str | Path | None = None, *, k: int = 100) -> list[Path]:
        """Write the model as programs that jax runs alone, its parameters and a card into `out`: their paths.

        By default into RUN/export. `k`: draws of z for the program `log_marginal`. RequestError where the model has no
        codes, or is told a condition.
        """
        check_count("Fitted.export", "k", k)
        return write_export(self.subject, self.directory / EXPORT if out is None else Path(out), k=k)


def fit(
    model: VAE | System | None,
    data: Any,
    *,
    params: Params | Callable[..., Params] | None = None,
    directory: str | Path | None = None,
    estimate: Estimate = BY_DEFAULT,
    num_samples: int = 1,
    optimizer: optax.GradientTransformation | Optimizer | None = None,
    epochs: int = 100,
    batch_size: int = 128,
    seed: int = 0,
    patience: int | None = None,
    on_nonfinite: Literal["halt", "skip"] = "halt",
    build: str | None = None,
    evaluation_samples: int = 1000,
    compute: Compute | None = None,
    console: Console | None = None,
) -> Fitted:
    """Train a model of your own as `vae-jax train` trains its own: one compiled program, checkpoints, the same bits.

    `model`: a `VAE` with its initial `params` (or `(key, batch) -> params`), of which `estimate` is maximised with
    `num_samples` draws of z for each example; or a `System`, which has an estimate of its own; or None with `build`,
    the path of a file and its function without arguments that returns a `System`, "my_model.py:build". Only the last
    can be opened by the command line.
    `data`: arrays `[n, …]`, a dict of them with `x`, `label`, `x_test`, …, the name or the path of a dataset, or a
    `Dataset`; or a source of single examples, as those of Grain. The model sees arrays as they are given, and what has
    a name or a path as the command line reads it: integers of a file divided by the largest count, 255 by default.
    `directory`: of the run, by default a new one in `runs`. Called again, training goes on from the newest checkpoint,
    bit for bit, or is found to be finished. `evaluation_samples` and `compute` may then be others; all else is refused
    where it is, the model by names and by the loss at the start, so that an edited function is found too.
    `optimizer`: of optax, or a config's, by default Adam with 1e-3. `patience`: stop after so many epochs without a
    better validation loss. `on_nonfinite`: end at a step whose loss or gradient is not finite, or leave it out, up to
    20 times in all. `compute`: devices, precision and memory, `vae_jax.config.Compute(mesh=("data=8",))`; by default
    all devices along the batch.

    Interrupted by a signal it returns what there is; `fitted.state.train.step` tells how far that is. ConfigError or
    ValueError, before any compute, where something does not fit; TrainingError where the loss is no longer finite.
    """
    compute = compute or Compute()
    name = IN_PYTHON if build is None else absolute(build)
    check_optimizer(name, optimizer)
    # Runs that differ in their seed alone are compared on the same test examples.
    given = None if directory is None else Path(directory).expanduser()
    dataset = as_dataset(data, **manner_of(given))
    parts = {"model": model, "start": params, "estimate": estimate, "number of samples": num_samples}
    settings = Train(
        epochs=plain(epochs),
        batch_size=plain(batch_size),
        seed=plain(seed),
        patience=plain(patience),
        on_nonfinite=on_nonfinite,
    )
    with directory_of_its_own(Path("runs") / "fit") if given is None else nullcontext(given) as chosen:
        run = python_run(
            system_from(model, params, build, estimate, num_samples, compute.accumulate),
            dataset,
            chosen,
            name=name,
            source=source_of(data),
            optimizer=optimizer,
            train=settings,
            evaluate=Evaluate(evaluation_samples=plain(evaluation_samples)),
            compute=compute,
            parts=parts,
        )
    with writing(run.directory):
        # The process is the caller's, a notebook perhaps.
        trained = train(run, console or Console(), ends=False)
    return Fitted(run, trained.state)


def open_run(
    directory: str | Path,
    model: VAE | System | None = None,
    data: Any = None,
    *,
    params: Params | Callable[..., Params] | None = None,
    optimizer: optax.GradientTransformation | None = None,
) -> Fitted:
    """A run with its best parameters.

    Of a run of `fit` its `model`, `params` and `data` are given again, and its `optimizer` where that was one of optax.
    Of all other runs the directory says everything. ConfigError or RequestError where there is none, or where the
    data are others. A model with other functions is opened too, as one with another likelihood, and measured by what
    it does.
    """
    directory = Path(directory).expanduser()
    config = read_config(directory)
    if is_of_a_command(config):
        run = open_configured(directory)
        return Fitted(run, load_state(run))
    if config.system == IN_PYTHON and model is None:
        raise ConfigError(
            f"the model of {directory} was made in Python: vj.open_run({str(directory)!r}, model, data, params=params)."
        )
    if config.data.dataset == ARRAYS and data is None:
        raise ConfigError(
            f"the data of {directory} were given as arrays: vj.open_run({str(directory)!r}, model, data, "
            "params=params)."
        )
    system = system_to_open(model, params, None if model is not None else config.system)
    given = config.data.dataset if data is None else data
    dataset = as_dataset(given, seed=config.data.data_seed, **manner_of(directory))
    check_same(directory, dataset)
    run = assembled(config, directory, dataset, system=system, optimizer=optimizer)
    return Fitted(run, load_state(run))
