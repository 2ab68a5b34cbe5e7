"""Heads: the last layer of a network, from features to a distribution.

A posterior head maps features `[h]` to q(z | x); those of a `DiagNormal` and of a point also take features at places,
`[H, W, h]`, and give a vector of `size` numbers for each place, one after the other. A likelihood head maps an array
`[*shape, outputs]` to p(x | z), adding a bias per element of x, which starts at the data mean: the first gradient steps
are then not spent on learning the mean image.
"""

from typing import ClassVar, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Array, Bernoulli, DiagNormal, FullNormal, PointMass


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
    """The same with every element in 0..1, an activation: `[h] -> PointMass` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> PointMass:
        return PointMass(jnp.ravel(nn.sigmoid(nn.Dense(self.size)(features))))


# One pixel that is never set, or always, must not start at a logit of ±inf.
_LEAST_PROBABILITY = 0.01


def start_logits(mean: np.ndarray) -> Array:
    """Logits of the data mean, kept away from ±inf: float32 of its shape."""
    mean = np.clip(mean, _LEAST_PROBABILITY, 1.0 - _LEAST_PROBABILITY)
    return jnp.asarray(np.log(mean) - np.log1p(-mean), jnp.float32)


class BernoulliHead(nn.Module):
    """p(x | z), independent bits: `[*shape, 1] -> Bernoulli` of `shape`. `mean`: the data mean, `shape`."""

    mean: np.ndarray
    outputs: ClassVar[int] = 1

    @nn.compact
    def __call__(self, out: Array) -> Bernoulli:
        bias = self.param("bias", lambda key: start_logits(self.mean))
        return Bernoulli((jnp.ravel(out) + jnp.ravel(bias)).reshape(self.mean.shape))


class NormalHead(nn.Module):
    """p(x | z) = N(μ(z), σ²) with σ fixed, shared or predicted: `[*shape, outputs] -> DiagNormal` of `shape`.

    `mean`: the data mean, `shape`. `scale`: the value of σ where it is "fixed", and its start where it is one
    number for all elements, learned ("shared") or set to its optimum by the optimiser ("optimal"), or an output of
    the network ("predicted").
    """

    mean: np.ndarray
    scale: float
    learned: Literal["fixed", "shared", "optimal", "predicted"]

    @property
    def outputs(self) -> int:
        """Numbers that the network must give per element of x."""
        return 2 if self.learned == "predicted" else 1

    @nn.compact
    def __call__(self, out: Array) -> DiagNormal:
        loc = out[..., 0] + self.param("bias", lambda key: jnp.asarray(self.mean, jnp.float32))
        log_scale = jnp.log(jnp.asarray(self.scale, jnp.float32))
        if self.learned in ("shared", "optimal"):
            log_scale = self.param("log_scale", lambda key: log_scale)
        if self.learned == "predicted":
            log_scale = log_scale + out[..., 1]
        return DiagNormal(loc, jnp.exp(log_scale))
