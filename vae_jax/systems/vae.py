"""The variational autoencoder: any bound, any gradient estimator, or the ELBO with its KL in closed form.

Auto-Encoding Variational Bayes, arXiv 1312.6114; Importance Weighted Autoencoders, arXiv 1509.00519;
beta-VAE (Higgins et al., ICLR 2017).
"""

import math
from functools import partial

import flax.linen as nn

from vae_jax.config.fields import Experiment
from vae_jax.data.dataset import Dataset
from vae_jax.nets.layers import StochasticLayer, layered_init, layered_vae
from vae_jax.nets.likelihoods import NORMALS
from vae_jax.nets.priors import Prior
from vae_jax.optimizers.optimal_scale import optimal_scale
from vae_jax.systems.parts.networks import vae_networks
from vae_jax.systems.parts.objective import ExampleLoss, constrained, mean_loss, staged_objective
from vae_jax.systems.parts.requirements import (
    layers_along_a_path,
    layers_of_vectors,
    optimal_scale_alone,
    trainable_bound,
)
from vae_jax.systems.system import Spec, System


def vae_system(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    latent_size: int,
    example_loss: ExampleLoss,
    prior: Prior | None = None,
) -> System:
    """A system from a pair of Linen networks, the loss of one example and a prior, by default N(0, I)."""
    layers = [StochasticLayer(encoder, decoder, latent_size)]
    vae = layered_vae(layers, prior)
    return System(init=layered_init(layers, prior), loss=mean_loss(vae, example_loss), vae=vae)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    model = config.model
    vae, init = vae_networks(model, dataset)
    system = constrained(System(init=init, loss=staged_objective(vae, config, dataset), vae=vae), config.objective)
    if model.likelihood in NORMALS and model.likelihood_scale == "optimal":
        return system._replace(optimizer=partial(optimal_scale, math.prod(dataset.shape)))
    return system


SPEC = Spec(
    build,
    reads=("objective", "compute.accumulate"),
    requires=(trainable_bound, layers_of_vectors, layers_along_a_path, optimal_scale_alone),
)
