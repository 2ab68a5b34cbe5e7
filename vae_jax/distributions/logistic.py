"""Intensities as bins of a logistic density."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_count, check_key, check_positive, check_value, parameter_shape
from vae_jax.core.trees import summed
from vae_jax.core.types import Array, Key


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class DiscretisedLogistic:
    """Counts 0..`levels`, each with the mass of a logistic density in its bin; the outer two bins reach to ±∞.

    `log p(v) = Σ_j log [σ((v_j + ½ − loc_j) / scale_j) − σ((v_j − ½ − loc_j) / scale_j)]`, `loc` and `scale` in
    counts. Unlike a Categorical it knows that 7 is near 8.

    Source: Improved Variational Inference with Inverse Autoregressive Flow, arXiv 1606.04934; a mixture of them
    (`ElementMixture`): PixelCNN++, arXiv 1701.05517.
    """

    loc: Array
    scale: Array
    levels: int = field(metadata={"static": True})
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        check_count("DiscretisedLogistic", "levels", self.levels)
        return parameter_shape("DiscretisedLogistic", loc=self.loc, scale=self.scale)

    @property
    def mean(self) -> Array:
        """Expected counts: the sum of P(v > n) over n < levels."""
        loc, scale = (jnp.broadcast_to(part, self.event_shape) for part in (self.loc, self.scale))
        edges = jnp.arange(self.levels, dtype=float) + 0.5
        return jnp.sum(jax.nn.sigmoid((loc[..., None] - edges.reshape((1,) * loc.ndim + (-1,))) / scale[..., None]), -1)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("DiscretisedLogistic.sample", key, shape)
        check_positive("DiscretisedLogistic", scale=self.scale)
        shape = (*shape, *self.event_shape)
        loc, scale = (jnp.broadcast_to(part, shape) for part in (self.loc, self.scale))
        drawn = loc + scale * jax.random.logistic(key, shape)
        return jnp.clip(jnp.round(drawn), 0, self.levels).astype(jnp.int32)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count of 0..levels."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("DiscretisedLogistic", value, self.event_shape)
        check_positive("DiscretisedLogistic", scale=self.scale)
        # In half precision a half would be lost from every count above 128.
        wide = jnp.promote_types(jnp.result_type(self.loc, float), jnp.float32)
        value, loc, scale = (jnp.asarray(part, wide) for part in (value, self.loc, self.scale))
        # The difference of two sigmoids as a product, σ(a) σ(−b) (1 − e^{b−a}), which cannot cancel.
        below_upper = jax.nn.log_sigmoid((value + 0.5 - loc) / scale)
        above_lower = jax.nn.log_sigmoid((loc - value + 0.5) / scale)
        width = jnp.broadcast_to(1.0 / scale, value.shape)
        inside = below_upper + above_lower + jnp.log(-jnp.expm1(-width))
        log_mass = jnp.where(value == 0, below_upper, jnp.where(value == self.levels, above_lower, inside))
        return jnp.where((value >= 0) & (value <= self.levels) & (value == jnp.floor(value)), log_mass, -jnp.inf)
