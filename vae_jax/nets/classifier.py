"""A classifier whose hidden layers can be looked at."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.core.types import Array


class Classifier(nn.Module):
    """x, by a `reader` and flattened, to the values of each hidden layer and the logits `[classes]` of q(y | x)."""

    reader: nn.Module
    hidden: Sequence[int]
    classes: int

    @nn.compact
    def __call__(self, x: Array) -> tuple[list[Array], Array]:
        x, layers = jnp.ravel(self.reader(x)), []
        for size in self.hidden:
            x = nn.relu(nn.Dense(size)(x))
            layers.append(x)
        return layers, nn.Dense(self.classes)(x)
