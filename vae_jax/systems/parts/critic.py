"""A critic of codes: a network that tells two kinds of them apart, trained in the same step as the model.

A system adds `Critic.loss` to its own loss, and gives the parameters `params["critic"]` an optimiser of their own. The
model's own terms use `Critic.opinion`, whose gradient does not move the critic.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key, Params
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.mlp import MLP
from vae_jax.optimizers.groups import apart
from vae_jax.systems.system import Batch, System

# Folded into the key of `init`, to keep the critic's key apart from those of encoder and decoder.
_STREAM = 2
_NAME = "critic"


class Critic(NamedTuple):
    """A network `[d] -> [1]` that gives the log-odds that a code is of the first kind."""

    network: nn.Module

    def _logits(self, params: Params, codes: Array) -> Array:
        logits = linen_apply(self.network)
        return jax.vmap(lambda code: logits(params, code)[0])(codes)

    def opinion(self, params: Params, codes: Array) -> Array:
        """Log-odds `[n]` that `codes` `[n, d]` are of the first kind; the gradient reaches the codes alone."""
        return self._logits(freeze(params[_NAME]), codes)

    def loss(self, params: Params, first: Array, second: Array) -> Array:
        """Cross-entropy, nats: 2 log 2 = 1.386 where the critic cannot tell; the gradient reaches the critic alone."""
        logits = [self._logits(params[_NAME], freeze(codes)) for codes in (first, second)]
        return jnp.mean(nn.softplus(-logits[0])) + jnp.mean(nn.softplus(logits[1]))


def make_critic(hidden: Sequence[int]) -> Critic:
    """A fully connected critic."""
    return Critic(nn.Sequential([MLP(hidden, nn.relu), nn.Dense(1)]))


def with_critic(system: System, critic: Critic, *, rate: float | Array) -> System:
    """The system with parameters for the critic, which follow Adam at `rate`, whatever optimiser the model has."""

    def init(key: Key, batch: Batch) -> Params:
        params, x = system.init(key, batch), jax.tree.map(lambda leaf: leaf[0], system.example(batch))
        vae = system.vae
        assert vae is not None
        # The critic sees codes as `coded` gives them.
        code = jax.eval_shape(lambda x: jnp.ravel(vae.encode(params, x).sample(key)), x)
        network = from_linen(critic.network, jax.random.fold_in(key, _STREAM), jnp.zeros(code.shape, code.dtype))
        return params | {_NAME: network.params}

    optimizer = partial(apart, {_NAME: optax.adam(rate)})
    return system._replace(init=init, optimizer=optimizer, comparable=False)
