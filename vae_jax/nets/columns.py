"""Networks for rows of a table: what an encoder sees of one, and the head that gives p(row | z)."""

from itertools import accumulate
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae_jax.core.types import Array
from vae_jax.data.columns import Column
from vae_jax.data.units import Units
from vae_jax.distributions import Bernoulli, Categorical, DiagNormal, NegativeBinomial
from vae_jax.distributions.columns import Columns
from vae_jax.nets.starts import start_logits

# The logit of a choice that a column does not have.
_NEVER = -1e9


def places_of(columns: tuple[Column, ...]) -> dict[str, tuple[int, ...]]:
    """Which elements of a row are of each family."""
    families = sorted({column.family for column in columns})
    return {family: tuple(j for j, c in enumerate(columns) if c.family == family) for family in families}


class OneRow(nn.Module):
    """A row `[d]` as numbers near 1, `[m]`: reals in units, logs of counts, choices one-hot, and which were observed.

    A gap is 0. ValueError, at trace time, unless x is one row.
    """

    columns: tuple[Column, ...]
    units: Units

    def __call__(self, x: Array) -> Array:
        if jnp.shape(x) != (len(self.columns),):
            raise ValueError(
                f"encode: x must be one row of {len(self.columns)} columns, got shape {jnp.shape(x)}. For a batch: "
                "jax.vmap(vae.encode, in_axes=(None, 0))(params, xs)."
            )
        observed = ~jnp.isnan(x)
        # Gaps are filled first: NaN times zero would be NaN in the gradient.
        filled = jnp.where(observed, x, self.units.centre)
        parts = [observed.astype(jnp.float32)]
        for family, places in places_of(self.columns).items():
            of = jnp.asarray(places)
            values, centre, spread = filled[of], self.units.centre[list(places)], self.units.spread[list(places)]
            if family == "reals":
                parts.append((values - centre) / spread)
            elif family == "counts":
                parts.append(jnp.log1p(values) - jnp.log1p(centre))
            else:
                choices = max(self.columns[j].choices for j in places)
                chosen = jax.nn.one_hot(values.astype(jnp.int32), choices) * observed[of, None]
                parts.append(chosen[:, 1:].ravel() if family == "bits" else chosen.ravel())
        return jnp.concatenate(parts)


class ColumnsHead(nn.Module):
    """p(row | z): normals, negative binomials, bits and choices: `[sum(outputs)] -> Columns` of `(d,)`.

    `scale`: where the standard deviations of reals start, in those of the data; each column learns its own, and each of
    counts its concentration.
    """

    columns: tuple[Column, ...]
    units: Units
    scale: float

    @property
    def outputs(self) -> tuple[int, ...]:
        """Numbers that the network must give for each column."""
        return tuple(column.choices if column.family == "categories" else 1 for column in self.columns)

    @nn.compact
    def __call__(self, out: Array) -> Columns:
        by_column = jnp.split(out, list(accumulate(self.outputs[:-1])))
        groups: dict[str, Any] = {}
        for family, places in places_of(self.columns).items():
            mean = self.units.centre[list(places)]
            centre = jnp.asarray(mean)
            spread = jnp.asarray(self.units.spread[list(places)])
            if family == "categories":
                groups[family] = Categorical(self._logits([by_column[j] for j in places]))
                continue
            numbers = jnp.concatenate([by_column[j] for j in places])
            start = {"bits": start_logits(mean), "counts": jnp.log(jnp.maximum(centre, 1e-3))}.get(family, 0.0 * centre)
            numbers = numbers + self.param(f"{family}_bias", lambda key, start=start: jnp.asarray(start, jnp.float32))
            if family == "bits":
                groups[family] = Bernoulli(numbers)
            elif family == "counts":
                shape = (len(places),)
                groups[family] = NegativeBinomial(
                    numbers, self.param("log_concentration", nn.initializers.zeros_init(), shape)
                )
            else:
                start_scale = jnp.full(len(places), jnp.log(self.scale), jnp.float32)
                log_scale = self.param("log_scale", lambda key, start=start_scale: start)
                groups[family] = DiagNormal(centre + spread * numbers, spread * jnp.exp(log_scale))
        return Columns(groups, tuple(places_of(self.columns).items()))

    @nn.nowrap
    def _logits(self, logits: list[Array]) -> Array:
        """Columns with fewer choices are filled up with some that never come."""
        most = max(len(each) for each in logits)
        return jnp.stack([jnp.pad(each, (0, most - len(each)), constant_values=_NEVER) for each in logits])
