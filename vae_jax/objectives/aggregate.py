"""The aggregate posterior q(z) = 1/N Σ_n q(z | x_n), estimated from the B posteriors of a minibatch.

`log q(z_i)` and `log q(z_ij)` are log-sums over the batch, with log-weights `[B, B]` by one of two schemes. Row i holds
the weight of each posterior for the code that was drawn from posterior i.

Source: Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.core.types import Array
from vae_jax.distributions import DiagNormal


class RateSplit(NamedTuple):
    """The rate of a batch, `E log q(z|x) − log p(z)`, as the sum of three parts, nats.

    `index_code`: I_q(n; z), the mutual information between an example's number and its code.
    `total_correlation`: KL(q(z) ‖ Π q(z_j)). `dimension_wise`: Σ_j KL(q(z_j) ‖ p(z_j)).
    """

    index_code: Array
    total_correlation: Array
    dimension_wise: Array


def weighted_log_weights(batch_size: int, dataset_size: int) -> Array:
    """`[B, B]` of minibatch-weighted sampling: every posterior has the weight 1/(N B). Biased: q(z) is too small."""
    _check_sizes(batch_size, dataset_size)
    return jnp.full((batch_size, batch_size), -math.log(batch_size * dataset_size))


def stratified_log_weights(batch_size: int, dataset_size: int) -> Array:
    """`[B, B]` of stratified sampling: a code's own posterior weighs 1/N, the others share the rest. q(z) is unbiased.

    In the paper one of the others has a weight of its own; even shares have the same mean and a smaller variance.
    """
    _check_sizes(batch_size, dataset_size)
    own = -math.log(dataset_size)
    others = math.log((dataset_size - 1) / dataset_size / (batch_size - 1))
    return jnp.where(jnp.eye(batch_size, dtype=bool), own, others)


def _check_sizes(batch_size: int, dataset_size: int) -> None:
    if not 2 <= batch_size <= dataset_size:
        raise ValueError(
            f"the aggregate posterior of {dataset_size} examples needs a batch of 2 to {dataset_size} of them, got "
            f"{batch_size}."
        )


def dimension_log_probs(q: DiagNormal, z: Array) -> Array:
    """`log q(z_j)` `[d]` of one code, nats."""
    return jax.vmap(lambda mean, stddev, z: DiagNormal(mean, stddev).log_prob(z))(q.mean, q.stddev, z)


def aggregate_log_probs(posteriors: DiagNormal, codes: Array, log_weights: Array) -> tuple[Array, Array]:
    """`(log q(z_i) [B], log q(z_ij) [B, d])` in nats of `codes` `[B, d]`, one drawn from each of B posteriors."""

    log_q = jax.vmap(lambda z: jax.vmap(lambda q: dimension_log_probs(q, z))(posteriors))(codes)  # [B, B, d]
    joint = jax.nn.logsumexp(jnp.sum(log_q, axis=2) + log_weights, axis=1)
    return joint, jax.nn.logsumexp(log_q + log_weights[:, :, None], axis=1)


def check_factorised(where: str, posteriors: Any, prior: Any) -> None:
    """TypeError unless posteriors and prior are `DiagNormal`."""
    for name, distribution in (("posteriors", posteriors), ("prior", prior)):
        if not isinstance(distribution, DiagNormal):
            raise TypeError(
                f"{where}: {name} must be DiagNormal, got {type(distribution).__name__}, which does not factorise."
            )


def split_rate(posteriors: DiagNormal, prior: DiagNormal, codes: Array, log_weights: Array) -> RateSplit:
    """The three parts of the rate: means over `codes` `[B, d]`, one of each posterior. TypeError for other families."""
    check_factorised("split_rate", posteriors, prior)
    log_q = jax.vmap(lambda q, z: q.log_prob(z))(posteriors, codes)
    joint, marginals = aggregate_log_probs(posteriors, codes, log_weights)
    log_prior = jax.vmap(prior.log_prob)(codes)
    product = jnp.sum(marginals, axis=1)
    return RateSplit(*(jnp.mean(part) for part in (log_q - joint, joint - product, product - log_prior)))
