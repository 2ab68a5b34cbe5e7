"""How vectors become codes, and how the codes are learned: three rules.

Parameters under the key `set` follow no gradient: the optimiser moves them to where `assign` says. A code that stands
for next to no vectors is set to a vector of the batch. At the first step all codes are, so the codebook starts where
the data are (Jukebox, arXiv 2005.00341; Theory and Experiments on Vector Quantized Autoencoders, arXiv 1805.11063).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from vae_jax.config.fields import Model, Quantisation
from vae_jax.core.errors import ConfigError
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key, Params
from vae_jax.objectives.assign import assign
from vae_jax.objectives.quantise import (
    Quantised,
    cluster_sums,
    codebook_distance,
    commitment,
    finite_codes,
    finite_scalars,
    quantise,
)

# The key of parameters that `assign` sets, and the rule that does it: SGD of rate 1 gives v − (v − target).
SET = "set"
set_exactly = optax.sgd(1.0)
# The count of a code that was never used: above 0, since sums are divided by it.
_LEAST_COUNT = 1e-12


class Quantiser(NamedTuple):
    """`size`: how many codes. `init(key) -> params`. `quantise(params, z [..., d])`, one code for each vector.
    `lookup(params, index [...]) -> [..., d]`. `learn(params, key, z [n, d], quantised)`: a loss of value 0 that moves
    the codes. `commitment(z, nearest)`: the sum of squared distances that keeps vectors near their codes."""

    size: int
    init: Callable[[Key], Params]
    quantise: Callable[[Params, Array], Quantised]
    lookup: Callable[[Params, Array], Array]
    learn: Callable[[Params, Key, Array, Quantised], Array]
    commitment: Callable[[Array, Array], Array] = commitment


def running_codes(size: int, code_size: int, *, decay: float | Array, least_use: float | Array) -> Quantiser:
    """A code is the running mean `sums / counts` of its vectors, over about 1 / (1 − decay) steps."""

    def init(key: Key) -> Params:
        counts = jnp.full(size, _LEAST_COUNT)
        return {SET: {"counts": counts, "sums": counts[:, None] * jax.random.normal(key, (size, code_size))}}

    def codebook(params: Params) -> Array:
        averages = freeze(params[SET])
        return averages["sums"] / jnp.maximum(averages["counts"], _LEAST_COUNT)[:, None]

    def learn(params: Params, key: Key, z: Array, quantised: Quantised) -> Array:
        averages, z = params[SET], freeze(z)
        counts, sums = cluster_sums(quantised.number, z, size)
        counts = decay * averages["counts"] + (1.0 - decay) * counts
        sums = decay * averages["sums"] + (1.0 - decay) * sums
        share = z.shape[0] / size
        idle = counts < least_use * share
        counts = jnp.where(idle, share, counts)
        sums = jnp.where(idle[:, None], share * _draws(key, z, size), sums)
        return assign(averages["counts"], counts) + assign(averages["sums"], sums)

    return Quantiser(
        size, init, lambda params, z: quantise(codebook(params), z), lambda params, i: codebook(params)[i], learn
    )


def gradient_codes(size: int, code_size: int, *, decay: float | Array, least_use: float | Array) -> Quantiser:
    """Codes follow the gradient of their squared distance to their vectors; a code is `base` + `moved`."""

    def init(key: Key) -> Params:
        base = jax.random.normal(key, (size, code_size))
        return {SET: {"use": jnp.zeros(size), "base": base}, "moved": jnp.zeros((size, code_size))}

    def codebook(params: Params) -> Array:
        return freeze(params[SET]["base"]) + params["moved"]

    def learn(params: Params, key: Key, z: Array, quantised: Quantised) -> Array:
        averages = params[SET]
        use = decay * averages["use"] + (1.0 - decay) * cluster_sums(quantised.number, freeze(z), size)[0]
        share = z.shape[0] / size
        idle = use < least_use * share
        base = jnp.where(idle[:, None], _draws(key, freeze(z), size) - params["moved"], averages["base"])
        moves = assign(averages["use"], jnp.where(idle, share, use)) + assign(averages["base"], base)
        distance = codebook_distance(z, codebook(params)[quantised.number]) / z.shape[0]
        return moves + distance - freeze(distance)

    return Quantiser(
        size, init, lambda params, z: quantise(codebook(params), z), lambda params, i: codebook(params)[i], learn
    )


def finite_scalar_codes(levels: Sequence[int]) -> Quantiser:
    """The codes of `finite_scalars`, which are not learned."""
    codes = jnp.asarray(finite_codes(levels))
    return Quantiser(
        size=math.prod(levels),
        init=lambda key: {},
        quantise=lambda params, z: finite_scalars(levels, z),
        lookup=lambda params, index: codes[index],
        learn=lambda params, key, z, quantised: jnp.zeros(()),
        # The tanh already bounds the vectors.
        commitment=lambda z, nearest: jnp.zeros(()),
    )


def codebook_size(config: Quantisation) -> int:
    """How many codes a grid has."""
    return math.prod(config.scalar_levels) if config.codebook == "finite_scalar" else config.codebook_size


def quantiser_of(config: Quantisation, model: Model) -> Quantiser:
    """The rule that a config names. ConfigError where the sizes of its codes do not fit."""
    if config.codebook == "finite_scalar":
        if len(config.scalar_levels) != model.latent_size:
            raise ConfigError(
                f"--scalar-levels are one for each number of a code: --latent-size {model.latent_size} needs as many, "
                f"got {len(config.scalar_levels)} ({' '.join(map(str, config.scalar_levels))})."
            )
        return finite_scalar_codes(config.scalar_levels)
    rules = {"running": running_codes, "gradient": gradient_codes}
    options: dict[str, Any] = {"decay": config.codebook_decay, "least_use": config.least_use}
    return rules[config.codebook](config.codebook_size, model.latent_size, **options)


def _draws(key: Key, z: Array, size: int) -> Array:
    """`[size, d]`: rows of `z` `[n, d]` at random."""
    return z[jax.random.randint(key, (size,), 0, z.shape[0])]
