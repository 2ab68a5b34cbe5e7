"""Adversarial autoencoders: a critic tells codes from draws of the prior, and the encoder learns to mislead it.

Adversarial Autoencoders, arXiv 1511.05644; with a weight, WAE-GAN (Wasserstein Auto-Encoders, arXiv 1711.01558).
Encoder, decoder and critic train in the same step: a stop-gradient on each side, and a rule of its own for the critic.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from vae_jax.config import Experiment
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import Array, Key, freeze
from vae_jax.model import VAE, Params
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.layers import layered_init, layered_vae
from vae_jax.nets.mlp import MLP
from vae_jax.systems.autoencoder import autoencoder_loss
from vae_jax.systems.codes import batch_codes, prior_codes
from vae_jax.systems.groups import apart
from vae_jax.systems.networks import networks
from vae_jax.systems.system import Batch, Loss, Metrics, System

# Folded into the key of `init`, apart from those of encoder and decoder.
_CRITIC_STREAM = 2


def adversarial_loss(vae: VAE, critic: nn.Module, *, weight: float | Array) -> Loss:
    """`mean −log p(x | z)`, what misleads the critic with its weight, and the critic's own loss.

    `critic`: `[d] -> [1]`, the logit that a code is a draw of the prior, with the parameters `params["critic"]`.
    Metrics: `distance`, `misled` (the encoder's `mean −log D(z)`), `critic` (cross-entropy, 2 log 2 = 1.386 where it
    cannot tell).
    """
    judge = linen_apply(critic)
    reconstruct = autoencoder_loss(vae)

    def logits(params: Params, codes: Array) -> Array:
        return jax.vmap(lambda code: judge(params, code)[0])(codes)

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        distance, _ = reconstruct(params, key, batch, step)
        codes = batch_codes(vae, params, key, batch["x"])
        drawn = freeze(prior_codes(vae, params, key, len(codes)))
        misled = jnp.mean(nn.softplus(-logits(freeze(params["critic"]), codes)))
        told = jnp.mean(
            nn.softplus(-logits(params["critic"], drawn)) + nn.softplus(logits(params["critic"], freeze(codes)))
        )
        return distance + weight * misled + told, {"distance": distance, "misled": misled, "critic": told}

    return loss


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    layers, prior = networks(config.model, dataset)
    vae, start = layered_vae(layers, prior), layered_init(layers, prior)
    codes = config.codes
    critic = nn.Sequential([MLP(codes.critic_hidden, nn.relu), nn.Dense(1)])

    def init(key: Key, batch: Batch) -> Params:
        code = jnp.zeros(layers[-1].latent_size)
        return start(key, batch) | {"critic": from_linen(critic, jax.random.fold_in(key, _CRITIC_STREAM), code).params}

    return System(
        init=init,
        loss=adversarial_loss(vae, critic, weight=codes.critic_weight),
        vae=vae,
        optimizer=partial(apart, "critic", optax.adam(codes.critic_rate)),
    )
