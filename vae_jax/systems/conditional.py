"""The conditional VAE: every network is told a condition y, a class or a vector, and the model is of x given y.

Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., NeurIPS 2015);
Semi-supervised Learning with Deep Generative Models, arXiv 1406.5298.
"""

from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.config import ConfigError, Experiment, Model
from vae_jax.data.dataset import Dataset
from vae_jax.data.labels import num_classes
from vae_jax.distributions import Array, Key
from vae_jax.model import Params
from vae_jax.nets.conditional import Conditional, conditional
from vae_jax.pairs import paired
from vae_jax.systems.networks import ACTIVATIONS, networks
from vae_jax.systems.parts import POSTERIORS, prior_name
from vae_jax.systems.system import Batch, Metrics, System
from vae_jax.systems.vae import staged_objective


def conditional_networks(model: Model, dataset: Dataset) -> Conditional:
    """The networks of a config, with a condition. ConfigError where they cannot take one."""
    if model.upper_latent_sizes or POSTERIORS[model.posterior].space != "vectors" or prior_name(model) == "vamp":
        raise ConfigError(
            "a conditional model has one layer of vectors and a prior that does not see the encoder: no "
            f"--upper-latent-sizes, and not --posterior {model.posterior} --prior {prior_name(model)}."
        )
    layers, prior = networks(model, dataset)
    (lowest,) = layers
    return conditional(
        lowest.encoder,  # pyright: ignore[reportArgumentType]
        lowest.decoder,
        prior,
        latent_size=lowest.latent_size,
        condition_size=num_classes(dataset),
        activation=ACTIVATIONS[model.activation],
    )


def condition_of(dataset: Dataset) -> Any:
    """`label -> condition [c]`: one-hot classes. ValueError without labels."""
    classes = num_classes(dataset)
    return lambda label: jax.nn.one_hot(label, classes)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    nets = conditional_networks(config.model, dataset)
    to_condition = condition_of(dataset)
    vae = paired(nets.given, jnp.eye(num_classes(dataset)))
    objective = staged_objective(vae, config, dataset)

    def example(batch: Batch) -> Any:
        return {"x": batch["x"], "condition": to_condition(batch["label"])}

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        return objective(params, key, {"x": example(batch)}, step)

    def init(key: Key, batch: Batch) -> Params:
        first = jax.tree.map(lambda leaf: leaf[0], example(batch))
        return nets.init(key, first["x"], first["condition"])

    return System(init=init, loss=loss, vae=vae, given=nets.given, example=example)
