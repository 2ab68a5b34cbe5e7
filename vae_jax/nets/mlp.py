"""Fully connected networks."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.core.types import Array
from vae_jax.data.units import Units


class OneExample(nn.Module):
    """x divided by `levels`, or in `units`. ValueError, at trace time, unless x is one example of `shape`."""

    shape: tuple[int, ...]
    levels: int = 1
    units: Units | None = None

    def __call__(self, x: Array) -> Array:
        if jnp.shape(x) != self.shape:
            raise ValueError(
                f"encode: x must be one example of shape {self.shape}, got {jnp.shape(x)}. For a batch: "
                "jax.vmap(vae.encode, in_axes=(None, 0))(params, xs)."
            )
        if self.units is not None:
            return (x - self.units.centre) / self.units.spread
        return x if self.levels == 1 else jnp.asarray(x, jnp.float32) / self.levels


class MLP(nn.Module):
    """Dense layers with an activation after each: any shape, flattened, to `[hidden[-1]]`."""

    hidden: Sequence[int]
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = jnp.ravel(x)
        for size in self.hidden:
            x = self.activation(nn.Dense(size)(x))
        return x


class DenseOutput(nn.Module):
    """Features to an array `[*shape, outputs]`, without a bias: the likelihood head has one.

    Where the elements of x need different numbers, `outputs` has that of each, and the array is flat.
    """

    shape: tuple[int, ...]
    outputs: int | tuple[int, ...]

    @nn.compact
    def __call__(self, features: Array) -> Array:
        shape = (sum(self.outputs),) if isinstance(self.outputs, tuple) else (*self.shape, self.outputs)
        return nn.Dense(math.prod(shape), use_bias=False)(features).reshape(shape)


def mlp(
    shape: tuple[int, ...],
    posterior: nn.Module,
    likelihood: Any,
    *,
    hidden: Sequence[int],
    reader: nn.Module | None = None,
    activation: Callable[[Array], Array] = nn.tanh,
) -> tuple[nn.Module, nn.Module]:
    """An encoder `x [*shape] -> q(z | x)` and a decoder `z [d] -> p(x | z)`, with mirrored hidden layers.

    `posterior` and `likelihood` are heads (`vae_jax.nets.posteriors`, `vae_jax.nets.likelihoods`). `reader`: what x
    goes through first, by default a check of its shape.
    """
    encoder = nn.Sequential([reader or OneExample(shape), MLP(hidden, activation), posterior])
    decoder = nn.Sequential([MLP(hidden[::-1], activation), DenseOutput(shape, likelihood.outputs), likelihood])
    return encoder, decoder
