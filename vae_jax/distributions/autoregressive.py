"""An event whose elements are drawn one after the other, each given those before it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.checks import check_key, check_value
from vae_jax.core.types import Array, Key
from vae_jax.distributions.distribution import discretely, draws, is_reparameterised


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Autoregressive:
    """`log p(v) = Σ_j log p_j(v_j | v_<j)`, elements in the order of `jnp.ravel`.

    `conditional` maps a value `[*shape]` to a distribution of independent elements, element j of which may depend only
    on the elements of the value before j: a masked network, as `jax.tree_util.Partial(apply, params)`, so that its
    parameters can be frozen. A density takes one evaluation, and a sample one for each element, in one scan.

    Source: Pixel Recurrent Neural Networks, arXiv 1601.06759; as a decoder: PixelVAE, arXiv 1611.05013.
    """

    conditional: Callable[[Array], Any]
    shape: tuple[int, ...] = field(metadata={"static": True})

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return self.shape

    @property
    def start(self) -> Array:
        """A value of zeros: real numbers, or integers where the conditional takes no others, as an embedding does."""
        zeros = jnp.zeros(self.shape)
        try:
            jax.eval_shape(self.conditional, zeros)
        except (TypeError, ValueError):
            return zeros.astype(jnp.int32)
        return zeros

    @property
    def reparameterised(self) -> bool:
        """Whether samples carry a gradient, as those of the conditional do."""
        return is_reparameterised(jax.eval_shape(self.conditional, self.start))

    @property
    def discrete(self) -> "Autoregressive":
        """The same with every relaxed element replaced by its discrete distribution."""
        return replace(self, conditional=Partial(discretely, self.conditional))

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values of shape `shape + event_shape`, one element after the other."""
        check_key("Autoregressive.sample", key, shape)
        dtype = jax.eval_shape(lambda key: self.conditional(self.start).sample(key), key).dtype
        size = jnp.zeros(self.shape).size

        def value(key: Key) -> Array:
            def step(flat: Array, at: tuple[Array, Key]) -> tuple[Array, None]:
                place, key = at
                drawn = self.conditional(flat.reshape(self.shape)).sample(key)
                return flat.at[place].set(jnp.ravel(drawn)[place]), None

            places = (jnp.arange(size), jax.random.split(key, size))
            return jax.lax.scan(step, jnp.zeros(size, dtype), places)[0].reshape(self.shape)

        return draws(value, key, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        check_value("Autoregressive", value, self.shape)
        return self.conditional(value).log_prob(value)
