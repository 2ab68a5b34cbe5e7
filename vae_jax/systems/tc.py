"""β-TCVAE: the rate in three parts, each with a weight of its own.

    E log p(x | z) − α I_q(n; z) − β KL(q(z) ‖ Π q(z_j)) − γ Σ_j KL(q(z_j) ‖ p(z_j))

Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942. The parts are estimated from the minibatch; their sum,
the rate, has a closed form. So the loss is that of a VAE, plus every part times its weight minus 1: α = β = γ = 1 is
the VAE.
"""

from collections.abc import Callable

import jax.numpy as jnp

from vae_jax.config.fields import Experiment
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.models.vae import VAE
from vae_jax.objectives.aggregate import split_rate, stratified_log_weights, weighted_log_weights
from vae_jax.systems.parts.coded import Coded, coded_loss
from vae_jax.systems.parts.networks import vae_networks
from vae_jax.systems.parts.requirements import (
    differentiable_codes,
    factorised_normal,
    gradient_scale,
    normal_prior,
    one_layer,
    two_in_a_batch,
)
from vae_jax.systems.system import Loss, Metrics, Spec, System

# `(batch size, dataset size) -> log-weights [B, B]` of `vae_jax.objectives.aggregate`.
LogWeights = Callable[[int, int], Array]


def tc_loss(
    vae: VAE,
    *,
    dataset_size: int,
    index: float | Array = 1.0,
    total_correlation: float | Array = 1.0,
    dimension_wise: float | Array = 1.0,
    log_weights: LogWeights = weighted_log_weights,
    parts: int = 1,
) -> Loss:
    """Minus the objective with α = `index`, β = `total_correlation`, γ = `dimension_wise`, by one draw of z.

    Posterior and prior must be `DiagNormal` (TypeError). The batch is coded in `parts`. Metrics: those of the
    bound, and the three parts of the rate.
    """

    def objective(params: Params, key: Key, batch: Coded) -> tuple[Array, Metrics]:
        del key
        weights = log_weights(len(batch.codes), dataset_size)
        parts = split_rate(batch.posterior, vae.prior(params), batch.codes, weights)
        surplus = (
            (index - 1.0) * parts.index_code
            + (total_correlation - 1.0) * parts.total_correlation
            + (dimension_wise - 1.0) * parts.dimension_wise
        )
        return jnp.mean(batch.distortion + batch.rate) + surplus, {**batch.metrics(), **parts._asdict()}

    return coded_loss(vae, objective, parts=parts)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    (vae, init), codes = vae_networks(config.model, dataset), config.codes
    loss = tc_loss(
        vae,
        dataset_size=len(dataset.train.x),
        index=codes.index_weight,
        total_correlation=config.objective.beta,
        dimension_wise=codes.dimension_weight,
        log_weights={"weighted": weighted_log_weights, "stratified": stratified_log_weights}[codes.minibatch],
        parts=config.compute.accumulate,
    )
    return System(init=init, loss=loss, vae=vae)


SPEC = Spec(
    build,
    reads=("objective.beta", "codes.index_weight", "codes.dimension_weight", "codes.minibatch", "compute.accumulate"),
    requires=(one_layer, differentiable_codes, gradient_scale, factorised_normal, normal_prior, two_in_a_batch),
)
