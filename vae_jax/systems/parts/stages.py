"""Training in stages: a loss that changes by the step, and parameters that follow an optimiser in one stage only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.optimizers.groups import apart
from vae_jax.optimizers.rules import make_optimizer
from vae_jax.systems.system import Batch, Loss, Metrics


def staged(losses: Sequence[Loss], starts: Sequence[int]) -> Loss:
    """`losses[0]` until step `starts[0]`, then `losses[1]` until `starts[1]`, and so on, in one compiled program.

    All losses must give the same metrics. A step computes only the loss of its stage, forwards and backwards: the
    gradient of a plain `lax.switch` would take the memory of every stage at every step. First derivatives only.
    ValueError unless there is one loss more than there are starts.
    """
    if len(losses) != len(starts) + 1:
        raise ValueError(f"staged: {len(losses)} losses need {len(losses) - 1} starts, got {len(starts)}.")
    if not starts:
        return losses[0]

    def of_stage(branches: Sequence[Callable[[Params], Any]], step: Array, params: Params) -> Any:
        stage = jnp.searchsorted(jnp.asarray(starts), step, side="right")
        return lax.switch(stage, branches, params)

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        def at(stage_loss: Loss) -> Callable[[Params], tuple[Array, Metrics]]:
            return lambda params: stage_loss(params, key, batch, step)

        @jax.custom_vjp
        def value(params: Params) -> tuple[Array, Metrics]:
            return of_stage([at(stage_loss) for stage_loss in losses], step, params)

        def forwards(params: Params) -> tuple[Any, Params]:
            branches = [jax.value_and_grad(at(stage_loss), has_aux=True) for stage_loss in losses]
            return of_stage(branches, step, params)

        def backwards(gradient: Params, cotangent: tuple[Array, Metrics]) -> tuple[Params]:
            return (jax.tree.map(lambda leaf: cotangent[0].astype(leaf.dtype) * leaf, gradient),)

        value.defvjp(forwards, backwards)
        return value(params)

    return loss


def total_steps(config: Experiment, dataset: Dataset) -> int:
    """The number of steps of the whole run."""
    return config.train.epochs * (len(dataset.train.x) // config.train.batch_size)


def second_stage_start(config: Experiment, dataset: Dataset) -> int:
    """The step at which the second stage begins. ConfigError where the config has none."""
    if config.stages.second_stage_at is None:
        raise ConfigError(
            f"--system {config.system} is trained in two stages: say after which share of the run the second begins, "
            "--second-stage-at 0.5."
        )
    return round(config.stages.second_stage_at * total_steps(config, dataset))


def staged_rules(
    config: Experiment,
    dataset: Dataset,
    name: str,
    others: Mapping[str, optax.GradientTransformation] | None = None,
    of_first: Callable[[optax.GradientTransformation], optax.GradientTransformation] = lambda tx: tx,
) -> Callable[[optax.GradientTransformation], optax.GradientTransformation]:
    """A `System.optimizer` of two stages: the second trains the parameters under `name` alone, the first all others.

    Each stage has its own schedule, from peak to end. Parameters under the keys of `others` follow those rules in both.
    `of_first` wraps the optimiser of the first stage. The result ignores its argument, an optimiser for one stage.
    """
    start = second_stage_start(config, dataset)
    rate = config.stages.second_stage_rate
    first = of_first(make_optimizer(config.optimizer, start))
    second = make_optimizer(replace(config.optimizer, learning_rate=rate), total_steps(config, dataset) - start)

    def is_first(step: Any, **_: Any) -> Any:
        return step < start

    def is_second(step: Any, **_: Any) -> Any:
        return step >= start

    rules = {name: optax.conditionally_mask(second, is_second), **(others or {})}
    return lambda tx: apart(rules, optax.conditionally_mask(first, is_first))
