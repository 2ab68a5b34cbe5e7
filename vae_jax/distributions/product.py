"""Independent columns, each of its own family: the likelihood of a mixed table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key
from vae_jax.core.trees import summed
from vae_jax.core.types import Array, Key
from vae_jax.distributions.distribution import (
    draws,
    is_reparameterised,
    log_probs,
    sample_and_log_prob,
    sample_and_path_log_prob,
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Product:
    """`log p(v) = Σ_column log p_column(v[column])`: `columns` and values are dicts with the same names.

    Each column has its own distribution: a Categorical beside a Poisson beside a StudentT.
    """

    columns: Mapping[str, Any]

    @property
    def reparameterised(self) -> bool:
        """Whether the samples of every column carry a gradient."""
        return all(is_reparameterised(column) for column in self.columns.values())

    @property
    def event_shape(self) -> dict[str, Any]:
        """Shape of each column of one value."""
        return {name: column.event_shape for name, column in self.columns.items()}

    @property
    def mean(self) -> dict[str, Array]:
        """The mean of each column. AttributeError where a column has none (a Mixture)."""
        return {name: column.mean for name, column in self.columns.items()}

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Values: a dict of one array `shape + event_shape` per column."""
        check_key("Product.sample", key, shape)
        names = sorted(self.columns)

        def row(key: Key) -> dict[str, Any]:
            keys = jax.random.split(key, len(names))
            return {name: self.columns[name].sample(key) for name, key in zip(names, keys, strict=True)}

        return draws(row, key, shape)

    def sample_and_log_prob(self, key: Key) -> tuple[dict[str, Any], Array]:
        """A sample and its log-density, by `sample_and_log_prob` of every column."""
        return self._drawn(sample_and_log_prob, key)

    def sample_and_path_log_prob(self, key: Key) -> tuple[dict[str, Any], Array]:
        """The same by `sample_and_path_log_prob`: its gradient goes through the values alone."""
        return self._drawn(sample_and_path_log_prob, key)

    def _drawn(self, draw: Callable[[Any, Key], tuple[Any, Array]], key: Key) -> tuple[dict[str, Any], Array]:
        check_key("Product.sample", key)
        names = sorted(self.columns)
        pairs = [draw(self.columns[n], k) for n, k in zip(names, jax.random.split(key, len(names)), strict=True)]
        values, log_probs = zip(*pairs, strict=True)
        return dict(zip(names, values, strict=True)), summed(jnp.stack(log_probs))

    def log_prob(self, value: Mapping[str, Any]) -> Array:
        """Log-density in nats, a scalar. ValueError where the columns are not those of the distribution."""
        self._check(value)
        return summed(jnp.stack([column.log_prob(value[name]) for name, column in self.columns.items()]))

    def log_probs(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Log-density of every element of every column, nats: it shows which column is unusual."""
        self._check(value)
        return {name: log_probs(column, value[name]) for name, column in self.columns.items()}

    def _check(self, value: Any) -> None:
        if not isinstance(value, Mapping) or set(value) != set(self.columns):
            got = sorted(value) if isinstance(value, Mapping) else type(value).__name__
            raise ValueError(f"Product.log_prob: value must be a dict of {sorted(self.columns)}, got {got}.")
