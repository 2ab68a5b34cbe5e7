"""DIP-VAE I and II: the ELBO and a penalty that makes the covariance of codes the identity.

    λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²

Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, arXiv 1711.00848. C is the
covariance over the batch of the means of q(z | x) (I), or of z itself (II).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.config.fields import Experiment
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.models.vae import VAE
from vae_jax.systems.parts.coded import Coded, coded_loss
from vae_jax.systems.parts.networks import vae_networks
from vae_jax.systems.parts.requirements import (
    differentiable_codes,
    factorised_normal,
    gradient_scale,
    one_layer,
    two_in_a_batch,
)
from vae_jax.systems.system import Loss, Metrics, Spec, System

# `posteriors -> covariance [d, d]`, of B posteriors, stacked.
Covariance = Callable[[Any], Array]


def covariance_of_means(posteriors: Any) -> Array:
    """`Cov E[z | x]` `[d, d]` over B diagonal normals: DIP-VAE-I."""
    means = jax.vmap(lambda q: q.mean)(posteriors)
    centred = means - jnp.mean(means, axis=0, keepdims=True)
    return jnp.matmul(centred.T, centred) / len(centred)


def covariance_of_codes(posteriors: Any) -> Array:
    """`Cov z = Cov E[z | x] + E Cov[z | x]` `[d, d]` over B diagonal normals: DIP-VAE-II."""
    stddevs = jax.vmap(lambda q: q.stddev)(posteriors)
    return covariance_of_means(posteriors) + jnp.diag(jnp.mean(jnp.square(stddevs), axis=0))


def identity_penalty(covariance: Array, *, off_diagonal: float | Array, diagonal: float | Array) -> Array:
    """`λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²` of a matrix `[d, d]`."""
    variances = jnp.diagonal(covariance)
    squares = jnp.sum(jnp.square(covariance)) - jnp.sum(jnp.square(variances))
    return off_diagonal * squares + diagonal * jnp.sum(jnp.square(variances - 1.0))


def dip_loss(
    vae: VAE, *, covariance: Covariance, off_diagonal: float | Array, diagonal: float | Array, parts: int = 1
) -> Loss:
    """Minus the ELBO, plus the penalty; the batch is coded in `parts`. Metrics: those of the bound, and `penalty`."""

    def objective(params: Params, key: Key, batch: Coded) -> tuple[Array, Metrics]:
        del params, key
        penalty = identity_penalty(covariance(batch.posterior), off_diagonal=off_diagonal, diagonal=diagonal)
        return jnp.mean(batch.distortion + batch.rate) + penalty, {**batch.metrics(), "penalty": penalty}

    return coded_loss(vae, objective, parts=parts)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    (vae, init), codes = vae_networks(config.model, dataset), config.codes
    loss = dip_loss(
        vae,
        covariance={"means": covariance_of_means, "codes": covariance_of_codes}[codes.covariance_of],
        off_diagonal=codes.off_diagonal_weight,
        diagonal=codes.diagonal_weight,
        parts=config.compute.accumulate,
    )
    return System(init=init, loss=loss, vae=vae)


SPEC = Spec(
    build,
    reads=("codes.covariance_of", "codes.off_diagonal_weight", "codes.diagonal_weight", "compute.accumulate"),
    requires=(one_layer, differentiable_codes, gradient_scale, factorised_normal, two_in_a_batch),
)
