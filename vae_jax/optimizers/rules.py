"""Optimisers and learning-rate schedules by config; all of them optax's."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from vae_jax.config.fields import Experiment, Optimizer
from vae_jax.optimizers.spectral import spectral_decay

Schedule = Callable[[Any], Any]


def ladder_schedule(num_steps: int) -> Schedule:
    """`step -> 10^(−i/7)` on stair i = 0 … 7, which lasts 3^i / 3280 of the steps (of 3,280 epochs, 3^i).

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    stairs = 3 ** np.arange(8)
    starts = np.ceil(num_steps * np.cumsum(stairs[:-1]) / stairs.sum())
    return lambda step: 10.0 ** (-jnp.searchsorted(starts, step, side="right") / 7)


def make_schedule(config: Optimizer, num_steps: int) -> Schedule:
    """`step -> learning rate`: a schedule with peak 1, times the learning rate of the config, which may be traced."""
    steps = max(num_steps - config.warmup_steps, 1)
    end = config.final_fraction
    shapes: dict[str, Callable[[], Schedule]] = {
        "constant": lambda: optax.constant_schedule(1.0),
        "cosine": lambda: optax.cosine_decay_schedule(1.0, steps, alpha=end),
        "linear": lambda: optax.linear_schedule(1.0, end, steps),
        "exponential": lambda: optax.exponential_decay(1.0, steps, end, end_value=end),
        "ladder": lambda: ladder_schedule(steps),
    }
    shape = shapes[config.schedule]()
    if config.warmup_steps:
        rise = optax.linear_schedule(0.0, 1.0, config.warmup_steps)
        shape = optax.join_schedules([rise, shape], [config.warmup_steps])
    return lambda step: config.learning_rate * shape(step)


def staged_schedule(config: Experiment, num_steps: int) -> Schedule:
    """`step -> learning rate` over a whole run. Where a second stage begins, its schedule starts at its own rate."""
    optimizer, stages = config.optimizer, config.stages
    if stages.second_stage_at is None:
        return make_schedule(optimizer, num_steps)
    start = round(stages.second_stage_at * num_steps)
    second = dataclasses.replace(optimizer, learning_rate=stages.second_stage_rate)
    return optax.join_schedules([make_schedule(optimizer, start), make_schedule(second, num_steps - start)], [start])


def make_optimizer(config: Optimizer, num_steps: int) -> optax.GradientTransformation:
    """The optax transformation of a config, for a run of `num_steps`."""
    rate = make_schedule(config, num_steps)
    decay, epsilon = config.weight_decay, config.adam_epsilon
    rules: dict[str, Callable[[], optax.GradientTransformation]] = {
        "adam": lambda: optax.adam(rate, eps=epsilon),
        "adamw": lambda: optax.adamw(rate, eps=epsilon, weight_decay=decay),
        "adamax": lambda: optax.adamax(rate, eps=epsilon),
        "rmsprop": lambda: optax.rmsprop(rate),
        "adagrad": lambda: optax.adagrad(rate),
        "sgd": lambda: optax.sgd(rate),
        "muon": lambda: optax.contrib.muon(rate, eps=epsilon, weight_decay=decay),
    }
    rule = rules[config.optimizer]()
    if config.spectral_weight is not None:
        rule = optax.chain(spectral_decay(config.spectral_weight), rule)
    if config.clip_norm is not None:
        rule = optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)
    if config.skip_norm is not None:
        rule = skipping(rule, config.skip_norm)
    return rule


def skipping(rule: optax.GradientTransformation, norm: float) -> optax.GradientTransformation:
    """`rule`, which does nothing and remembers nothing where the norm of the gradient is not below `norm`, or is NaN.

    `optax.MultiSteps` does it too, with a sum of gradients that goes through memory at every step.
    The state is the same, so a run that was begun with MultiSteps can be resumed: the sum stays as it is, unread.
    """
    slow = optax.MultiSteps(rule, 1, should_skip_update_fn=partial(optax.skip_large_updates, max_squared_norm=norm**2))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        skip, skip_state = optax.skip_large_updates(updates, state.gradient_step, params, norm**2)
        step, inner = lax.cond(
            skip,
            lambda: (optax.tree_utils.tree_zeros_like(updates), state.inner_opt_state),
            lambda: rule.update(updates, state.inner_opt_state, params),
        )
        # A norm that is not finite is no fault of the state, which is looked at for such numbers.
        skip_state = jax.tree.map(jnp.nan_to_num, skip_state)
        count = jnp.where(skip, state.gradient_step, optax.safe_increment(state.gradient_step))
        return step, state._replace(inner_opt_state=inner, gradient_step=count, skip_state=skip_state)

    return optax.GradientTransformation(slow.init, update)
