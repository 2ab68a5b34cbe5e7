"""The conditional VAE: every network takes a condition y, a class or a vector, and the model is p(x | y).

Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., NeurIPS 2015);
Semi-supervised Learning with Deep Generative Models, arXiv 1406.5298.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config.fields import Experiment, Model
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.data.labels import is_labelled, num_classes
from vae_jax.models.conditional import paired
from vae_jax.nets.conditional import Conditional, conditional
from vae_jax.systems.parts.families import POSTERIORS, prior_name
from vae_jax.systems.parts.networks import ACTIVATIONS, networks
from vae_jax.systems.parts.objective import constrained, staged_objective
from vae_jax.systems.parts.requirements import every_label, gradient_scale, one_layer, one_vector, trainable_bound
from vae_jax.systems.system import Batch, Metrics, Spec, System

# Samples are drawn for the conditions of at most this many examples.
MOST_EXAMPLES = 5000


def conditional_networks(model: Model, dataset: Dataset, condition_size: int) -> Conditional:
    """The networks of a config, for a condition `[condition_size]`. ConfigError where they cannot take one."""
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
        condition_size=condition_size,
        activation=ACTIVATIONS[model.activation],
    )


class Conditions(NamedTuple):
    """`of(batch)` gives the conditions of a batch, `[B, c]`. `examples` `[n, c]`: some conditions of the data."""

    of: Callable[[Batch], Array]
    examples: Array


def conditions(dataset: Dataset) -> Conditions:
    """The conditions of a dataset: real numbers or, without them, one-hot labels. ValueError without either."""
    vectors = dataset.train.condition
    classes = num_classes(dataset) if vectors is None else 0
    name = "label" if vectors is None else "condition"
    if vectors is None:
        _check_labels(dataset)

    def condition_of(batch: Batch) -> Array:
        if name not in batch:
            raise ConfigError(
                f"a conditional model is told the {name} of every example, but these have none: put `{name}` (of a "
                f"test split `{name}_test`) beside x into the .npz."
            )
        return jax.nn.one_hot(batch[name], classes) if vectors is None else batch[name]

    for split in dataset.splits[1:]:
        if len(split.x):
            told = jax.eval_shape(condition_of, split.take(slice(1)).batch()).shape[1:]
            if vectors is not None and told != vectors.shape[1:]:
                raise ValueError(
                    f"the conditions of {dataset.name} have shape {vectors.shape[1:]} in the training split and {told} "
                    "in another: give all of them the same numbers."
                )
    return Conditions(condition_of, jnp.eye(classes) if vectors is None else jnp.asarray(vectors[:MOST_EXAMPLES]))


def _check_labels(dataset: Dataset) -> None:
    """ValueError where an example has no class."""
    labels = np.concatenate([split.label for split in dataset.splits if split.label is not None])
    if not is_labelled(labels).all():
        raise ValueError(
            f"a conditional model is told the class of every example, but {np.sum(~is_labelled(labels))} of "
            f"{len(labels)} of {dataset.name} have none (−1). Leave those examples out."
        )


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    condition = conditions(dataset)
    nets = conditional_networks(config.model, dataset, condition.examples.shape[1])
    vae = paired(nets.given, condition.examples)
    objective = staged_objective(vae, config, dataset)

    def example(batch: Batch) -> Any:
        return {"x": batch["x"], "condition": condition.of(batch)}

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        return objective(params, key, {"x": example(batch)}, step)

    def init(key: Key, batch: Batch) -> Params:
        first = jax.tree.map(lambda leaf: leaf[0], example(batch))
        return nets.init(key, first["x"], first["condition"])

    system = System(init=init, loss=loss, vae=vae, given=nets.given, conditions=condition.examples, example=example)
    return constrained(system, config.objective)


SPEC = Spec(
    build,
    reads=("objective", "compute.accumulate"),
    requires=(trainable_bound, one_layer, one_vector, gradient_scale),
    doubts=(every_label,),
)
