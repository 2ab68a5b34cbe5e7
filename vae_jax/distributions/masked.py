"""Missing data: a likelihood of the elements that were observed."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.core.trees import summed
from vae_jax.core.types import Array, Key, PyTree
from vae_jax.distributions.distribution import is_reparameterised, log_probs


class Observed(NamedTuple):
    """An example with gaps: `value`, and a `mask` of the same shape(s), true where the value was observed.

    What stands in the gaps is not read: NaN is as good as 0.
    """

    value: PyTree
    mask: PyTree

    @property
    def filled(self) -> PyTree:
        """`value` with 0 in its gaps: an encoder may see this and the mask."""
        return jax.tree.map(lambda v, m: jnp.where(m, v, jnp.zeros_like(v)), self.value, self.mask)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Masked:
    """`log p(v, mask) = Σ_{j observed} log p_j(v_j)`, for any `distribution` whose elements are independent.

    The gaps are integrated out, which is exact where they are missing at random. A value is an `Observed`; a sample is
    complete. TypeError where the distribution has no `log_probs`.

    Source: MIWAE: Deep Generative Modelling and Imputation of Incomplete Data, arXiv 1812.02633.
    """

    distribution: Any

    @property
    def reparameterised(self) -> bool:
        """Whether samples carry a gradient, as those of the distribution do."""
        return is_reparameterised(self.distribution)

    @property
    def event_shape(self) -> Any:
        """Shapes of one value and its mask."""
        return Observed(self.distribution.event_shape, self.distribution.event_shape)

    @property
    def mean(self) -> Any:
        """The mean of the complete value."""
        return self.distribution.mean

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Observed:
        """Complete values, with masks that are true everywhere."""
        value = self.distribution.sample(key, shape)
        return Observed(value, jax.tree.map(lambda leaf: jnp.ones(jnp.shape(leaf), bool), value))

    def log_prob(self, value: Observed) -> Array:
        """Log-density of the observed elements in nats, a scalar. ValueError for a mask of another shape."""
        if not isinstance(value, Observed):
            raise TypeError(
                f"Masked.log_prob: value must be an Observed(value, mask), got {type(value).__name__}. For a complete "
                "example: Observed(x, jnp.ones(x.shape, bool))."
            )
        shapes, masks = (jax.tree.map(jnp.shape, part) for part in value)
        if shapes != masks:
            raise ValueError(f"Masked.log_prob: the mask must have the shape of the value, {shapes}, got {masks}.")
        # The gaps are filled before the density is taken: NaN times zero would be NaN in the gradient.
        terms = log_probs(self.distribution, value.filled)
        observed = jax.tree.map(lambda term, mask: summed(jnp.where(mask, term, 0.0)), terms, value.mask)
        return summed(jnp.stack(jax.tree.leaves(observed)))
