"""A fully connected network in NNX, to begin a network of one's own from."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx

from vae_jax.core.types import Array


class NnxMLP(nnx.Module):
    """Dense layers of `sizes`, the input's first, with an activation between them: any shape, flattened, to a vector.

    It becomes a pure function by `from_nnx`:

        encoder = from_nnx(NnxMLP([64, 128, 2 * 10], rngs=nnx.Rngs(0)))
        loc, log_scale = jnp.split(encoder.apply(params, x), 2)
    """

    def __init__(
        self, sizes: Sequence[int], activation: Callable[[Array], Array] = jax.nn.silu, *, rngs: nnx.Rngs
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"NnxMLP: sizes must be those of the input and of every layer, got {list(sizes)}.")
        self.layers = nnx.List([nnx.Linear(before, after, rngs=rngs) for before, after in pairwise(sizes)])
        self.activation = activation

    def __call__(self, x: Array) -> Array:
        x = jnp.ravel(x)
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
