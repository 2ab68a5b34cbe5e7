"""A row of a table: columns of several families, with gaps, as one array."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_value
from vae_jax.core.types import Array, Key
from vae_jax.distributions.masked import Masked, Observed
from vae_jax.distributions.product import Product


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Columns:
    """`log p(x) = Σ_{j observed} log p_j(x_j)`: a `Product` under `Masked`, whose values are arrays `[d]`.

    `groups`: by name, the distribution of several columns at once. `places`: pairs of the same names and of which
    elements of x they are. NaN is a gap; categories are the numbers of their values. A sample is complete.

    Source: MIWAE: Deep Generative Modelling and Imputation of Incomplete Data, arXiv 1812.02633.
    """

    groups: Mapping[str, Any]
    places: tuple[tuple[str, tuple[int, ...]], ...] = field(metadata={"static": True})

    @property
    def _masked(self) -> Masked:
        return Masked(Product(self.groups))

    @property
    def reparameterised(self) -> bool:
        """Whether the samples of every column carry a gradient."""
        return self._masked.reparameterised

    @property
    def event_shape(self) -> tuple[int, ...]:
        """`(d,)`."""
        return (sum(len(places) for _, places in self.places),)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Complete rows `shape + (d,)`, float32."""
        return self._joined(self._masked.sample(key, shape).value)

    def log_prob(self, value: Array) -> Array:
        """Log-density of the observed elements of `[d]` in nats, a scalar. ValueError for another shape."""
        return self._masked.log_prob(self._split(value))

    def log_probs(self, value: Array) -> Array:
        """The same for each element, nats `[d]`; 0 for a gap."""
        observed = self._split(value)
        terms = self._joined(Product(self.groups).log_probs(observed.filled))
        return jnp.where(jnp.isnan(value), 0.0, terms)

    def _split(self, value: Any) -> Observed:
        self._check_places()
        check_value("Columns", value, self.event_shape)
        value = jnp.asarray(value)
        groups = {name: value[jnp.asarray(places)] for name, places in self.places}
        masks = {name: ~jnp.isnan(group) for name, group in groups.items()}
        # Gaps are filled here, since NaN has no integer.
        filled = {name: jnp.where(masks[name], group, 0.0) for name, group in groups.items()}
        kinds = jax.eval_shape(lambda: self._masked.distribution.sample(jax.random.key(0)))
        return Observed({name: group.astype(kinds[name].dtype) for name, group in filled.items()}, masks)

    def _check_places(self) -> None:
        """ValueError unless the places are 0..d−1, once each, of the distributions that there are."""
        places = [place for _, each in self.places for place in each]
        names = [name for name, _ in self.places]
        if sorted(places) != list(range(len(places))) or sorted(names) != sorted(self.groups):
            raise ValueError(
                f"Columns: places must be 0..{len(places) - 1}, each once, of {', '.join(self.groups)}, got "
                f"{self.places}."
            )

    def _joined(self, groups: Mapping[str, Array]) -> Array:
        joined = jnp.concatenate([jnp.asarray(groups[name], jnp.float32) for name, _ in self.places], axis=-1)
        order = np.argsort([place for _, places in self.places for place in places])
        return joined[..., order]
