"""FactorVAE: the ELBO and a weighted total correlation, by a critic that tells codes from shuffled codes.

Disentangling by Factorising, arXiv 1802.05983. The critic gives the log-odds that a code is of q(z) and not of the
product of its marginals. Once it has learned, these are the log-ratio of the two densities.
"""

import jax
import jax.numpy as jnp

from vae_jax.config.fields import Experiment
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.models.vae import VAE
from vae_jax.systems.parts.coded import Coded, coded_loss
from vae_jax.systems.parts.critic import Critic, make_critic, with_critic
from vae_jax.systems.parts.networks import vae_networks
from vae_jax.systems.parts.requirements import (
    differentiable_codes,
    drawn_bound,
    free_numbers,
    gradient_scale,
    one_layer,
    two_in_a_batch,
)
from vae_jax.systems.system import Loss, Metrics, Spec, System

# Folded into the key of a step, to keep the shuffling apart from the keys of the examples.
_SHUFFLE_STREAM = 0x73687566


def shuffled(key: Key, codes: Array) -> Array:
    """`[B, d]`: every column of `codes` in its own random order, so draws of the product of the marginals."""
    keys = jax.random.split(key, codes.shape[1])
    return jax.vmap(jax.random.permutation, out_axes=1)(keys, codes.T)


def factor_loss(vae: VAE, critic: Critic, *, weight: float | Array, parts: int = 1) -> Loss:
    """Minus the ELBO, `weight` (the paper's γ) times the total correlation, and the critic's own loss.

    γ corresponds to β − 1 of β-TCVAE. The shuffled codes are those of the batch; the paper takes another batch.
    The batch is coded in `parts`.
    Metrics: those of the bound, `total_correlation` as the critic sees it, and `critic` (cross-entropy).
    """

    def objective(params: Params, key: Key, batch: Coded) -> tuple[Array, Metrics]:
        total_correlation = jnp.mean(critic.opinion(params, batch.codes))
        independent = shuffled(jax.random.fold_in(key, _SHUFFLE_STREAM), batch.codes)
        critic_loss = critic.loss(params, batch.codes, independent)
        loss = jnp.mean(batch.distortion + batch.rate) + weight * total_correlation + critic_loss
        return loss, {**batch.metrics(), "total_correlation": total_correlation, "critic": critic_loss}

    return coded_loss(vae, objective, parts=parts)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    (vae, init), codes = vae_networks(config.model, dataset), config.codes
    critic = make_critic(codes.critic_hidden)
    loss = factor_loss(vae, critic, weight=codes.critic_weight, parts=config.compute.accumulate)
    return with_critic(System(init=init, loss=loss, vae=vae), critic, rate=codes.critic_rate)


SPEC = Spec(
    build,
    reads=("codes.critic_hidden", "codes.critic_rate", "codes.critic_weight", "compute.accumulate"),
    requires=(one_layer, differentiable_codes, gradient_scale, drawn_bound, two_in_a_batch),
    doubts=(free_numbers,),
)
