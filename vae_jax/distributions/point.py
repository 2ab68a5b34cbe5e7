"""One value, without a density: what a deterministic encoder gives."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_array, check_key
from vae_jax.core.types import Array, Key


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class PointMass:
    """All mass at `value` `[*shape]`. Samples carry the gradient of the value; there is no density."""

    value: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        check_array("PointMass", "value", self.value)
        return jnp.shape(self.value)

    @property
    def mean(self) -> Array:
        """The value."""
        return self.value

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """The value, whatever the key: `shape + event_shape`."""
        check_key("PointMass.sample", key, shape)
        return jnp.broadcast_to(self.value, (*shape, *self.event_shape))

    def log_prob(self, value: Array) -> Array:
        """Always a TypeError: a point has no density, so a deterministic encoder gives no bound on log p(x)."""
        raise TypeError(
            "PointMass.log_prob: a point mass has no density. A deterministic encoder gives reconstructions and codes "
            "but no bound on log p(x): use a posterior with a density, or annealed importance sampling (ais), which "
            "needs the prior and the decoder alone."
        )
