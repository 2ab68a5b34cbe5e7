"""One discrete value, with certainty: the posterior of an encoder that picks a code."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key
from vae_jax.core.types import Array, Key


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Certain:
    """All probability on `value`, integers `[*shape]` or a tuple of such: log p is 0 there and −inf elsewhere.

    Its values are discrete, so unlike a `PointMass` it has a probability: `log p(x, z) − log q(z | x)` is a lower bound
    on log p(x), and minus it the cost in nats of sending z and then x. Samples carry no gradient.
    """

    value: Any
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> Any:
        """Shape of one value."""
        return jax.tree.map(jnp.shape, self.value)

    @property
    def mean(self) -> Any:
        """The value."""
        return self.value

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Any:
        """The value, whatever the key: `shape + event_shape`."""
        check_key("Certain.sample", key, shape)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*shape, *jnp.shape(leaf))), self.value)

    def log_prob(self, value: Any) -> Array:
        """0 for the certain value, −inf for any other: nats, a scalar."""
        shape = jax.tree.map(jnp.shape, value)
        if shape != self.event_shape:
            raise ValueError(f"Certain.log_prob: value must be one event of shape {self.event_shape}, got {shape}.")
        same = jax.tree.map(lambda given, certain: jnp.all(given == certain), value, self.value)
        return jnp.where(jnp.all(jnp.stack(jax.tree.leaves(same))), 0.0, -jnp.inf)
