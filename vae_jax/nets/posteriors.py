"""Posterior heads: the last layer of an encoder, from features `[h]` to q(z | x).

`DiagNormalHead`, `PointHead` and `UnitPointHead` also take features at places, `[H, W, h]`. Their z is then one vector,
with `size` numbers for each place.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from vae_jax.core.types import Array
from vae_jax.distributions import (
    Concrete,
    DiagNormal,
    FullNormal,
    OneHotCategorical,
    PointMass,
    StraightThrough,
    VonMisesFisher,
)


class DiagNormalHead(nn.Module):
    """q(z | x) = N(μ, diag σ²): `[h] -> DiagNormal` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> DiagNormal:
        loc, log_scale = jnp.split(nn.Dense(2 * self.size)(features), 2, axis=-1)
        return DiagNormal(jnp.ravel(loc), jnp.exp(jnp.ravel(log_scale)))


class IsotropicNormalHead(nn.Module):
    """q(z | x) = N(μ, σ² I), one σ per example: `[h] -> DiagNormal` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> DiagNormal:
        out = nn.Dense(self.size + 1)(features)
        return DiagNormal(out[:-1], jnp.exp(out[-1]))


class FullNormalHead(nn.Module):
    """q(z | x) = N(μ, L Lᵀ), L lower triangular with a positive diagonal: `[h] -> FullNormal` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> FullNormal:
        size = self.size
        out = nn.Dense(2 * size + size * (size - 1) // 2)(features)
        loc, log_diagonal, below = jnp.split(out, [size, 2 * size])
        tril = jnp.diag(jnp.exp(log_diagonal)).at[np.tril_indices(size, -1)].set(below)
        return FullNormal(loc, tril)


class PointHead(nn.Module):
    """A code that is a function of x: `[h] -> PointMass` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> PointMass:
        return PointMass(jnp.ravel(nn.Dense(self.size)(features)))


class UnitPointHead(nn.Module):
    """A code that is a function of x, with every element in 0..1: `[h] -> PointMass` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> PointMass:
        return PointMass(jnp.ravel(nn.sigmoid(nn.Dense(self.size)(features))))


class VonMisesFisherHead(nn.Module):
    """q(z | x) on the unit sphere: `[h] -> VonMisesFisher` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> VonMisesFisher:
        out = nn.Dense(self.size + 1)(features)
        # Above 1, and about size + 1 at the start, so that an untrained encoder is broad.
        return VonMisesFisher(out[:-1], 1.0 + nn.softplus(out[-1] + self.size))


class ChoicesHead(nn.Module):
    """q(z | x) of `size` choices among `classes`, of the given `kind`: `[h] ->` a distribution of `[size, classes]`."""

    size: int
    classes: int
    temperature: float
    kind: str

    @nn.compact
    def __call__(self, features: Array) -> Any:
        logits = nn.Dense(self.size * self.classes)(features).reshape(self.size, self.classes)
        if self.kind == "categorical":
            return OneHotCategorical(logits)
        relaxed = Concrete(logits, jnp.asarray(self.temperature))
        return StraightThrough(relaxed) if self.kind == "straight_through" else relaxed
