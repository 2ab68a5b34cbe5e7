"""A loss that changes while training goes on: one of several, by the step."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.distributions import Array, Key
from vae_jax.model import Params
from vae_jax.systems.system import Batch, Loss, Metrics


def staged(losses: Sequence[Loss], starts: Sequence[int]) -> Loss:
    """`losses[0]` until step `starts[0]`, then `losses[1]` until `starts[1]`, and so on, in one compiled program.

    All must give the same metrics. Only the loss of the stage is computed, forwards and backwards: under a
    plain `lax.switch` the gradient would fill the memory of every stage at every step. First derivatives only.
    ValueError unless there is one loss more than there are starts.
    """
    if len(losses) != len(starts) + 1:
        raise ValueError(f"staged: {len(losses)} losses need {len(losses) - 1} starts, got {len(starts)}.")
    if not starts:
        return losses[0]

    def chosen(branches: Sequence[Callable[[Params], Any]], step: Array, params: Params) -> Any:
        stage = jnp.searchsorted(jnp.asarray(starts), step, side="right")
        return lax.switch(stage, branches, params)

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        def at(one: Loss) -> Callable[[Params], tuple[Array, Metrics]]:
            return lambda params: one(params, key, batch, step)

        @jax.custom_vjp
        def value(params: Params) -> tuple[Array, Metrics]:
            return chosen([at(one) for one in losses], step, params)

        def forwards(params: Params) -> tuple[Any, Params]:
            return chosen([jax.value_and_grad(at(one), has_aux=True) for one in losses], step, params)

        def backwards(gradient: Params, cotangent: tuple[Array, Metrics]) -> tuple[Params]:
            return (jax.tree.map(lambda leaf: cotangent[0] * leaf, gradient),)

        value.defvjp(forwards, backwards)
        return value(params)

    return loss
