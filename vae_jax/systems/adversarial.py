"""Adversarial autoencoders: a critic tells codes from draws of the prior, and the encoder learns to mislead it.

Adversarial Autoencoders, arXiv 1511.05644; with a weight, WAE-GAN (Wasserstein Auto-Encoders, arXiv 1711.01558).
Encoder, decoder and critic train in the same step: stop-gradients separate them, and the critic has its own optimiser.
"""

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.config.fields import Experiment
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.models.vae import VAE
from vae_jax.systems.parts.coded import Coded, coded_loss, prior_codes
from vae_jax.systems.parts.critic import Critic, make_critic, with_critic
from vae_jax.systems.parts.families import DEFAULT_PRIORS, prior_name
from vae_jax.systems.parts.networks import vae_networks
from vae_jax.systems.parts.requirements import differentiable_codes, gradient_scale, one_layer
from vae_jax.systems.system import Loss, Metrics, Spec, System


def adversarial_loss(vae: VAE, critic: Critic, *, weight: float | Array, parts: int = 1) -> Loss:
    """`mean −log p(x | z)`, plus `weight` times the encoder's `mean −log D(z)`, plus the critic's own loss.

    D(z) is the critic's probability that z is a draw of the prior. The batch is coded in `parts`. Metrics: `distance`,
    `misled` (the encoder's term), `critic` (cross-entropy).
    """

    def objective(params: Params, key: Key, batch: Coded) -> tuple[Array, Metrics]:
        distance = jnp.mean(batch.distortion)
        misled = jnp.mean(nn.softplus(-critic.opinion(params, batch.codes)))
        critic_loss = critic.loss(params, prior_codes(vae, params, key, len(batch.codes)), batch.codes)
        return distance + weight * misled + critic_loss, {"distance": distance, "misled": misled, "critic": critic_loss}

    return coded_loss(vae, objective, parts=parts)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    (vae, init), codes = vae_networks(config.model, dataset), config.codes
    critic = make_critic(codes.critic_hidden)
    loss = adversarial_loss(vae, critic, weight=codes.critic_weight, parts=config.compute.accumulate)
    return with_critic(System(init=init, loss=loss, vae=vae), critic, rate=codes.critic_rate)


def _fixed_prior(config: Experiment) -> str | None:
    """The critic stands between the loss and draws of the prior, which would never learn."""
    name = prior_name(config.model)
    if name in DEFAULT_PRIORS.values():
        return None
    return (
        f"--system {config.system} teaches its encoder alone to meet the prior, so {name} would stay as it starts: use "
        "--prior default"
    )


SPEC = Spec(
    build,
    reads=("codes.critic_hidden", "codes.critic_rate", "codes.critic_weight", "compute.accumulate"),
    requires=(one_layer, differentiable_codes, gradient_scale),
    doubts=(_fixed_prior,),
)
