"""M1 + M2: M1, a VAE, learns features z1 of x; then M1 stands still, and M2 models z1 together with a class.

M2 models draws of q(z1 | x). Its own z2 has `upper_latent_sizes` dimensions, by default as many as z1. In training its
classifier sees the features of a shifted image, with noise. Semi-supervised Learning with Deep Generative
Models, arXiv 1406.5298.
"""

from dataclasses import replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.data.labels import num_classes
from vae_jax.distributions.hierarchy import bottom_up, top_down
from vae_jax.models.vae import VAE
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.conditional import Given, conditional
from vae_jax.nets.mlp import MLP
from vae_jax.nets.posteriors import DiagNormalHead
from vae_jax.nets.priors import normal
from vae_jax.systems.m2 import few_labels, label_loss, losses_of, with_accuracy
from vae_jax.systems.parts.families import POSTERIORS, corruption_of
from vae_jax.systems.parts.requirements import free_numbers, no_path, one_vector, optimal_scale_alone, trainable_bound
from vae_jax.systems.parts.stages import second_stage_start, staged, staged_rules
from vae_jax.systems.system import Batch, Metrics, Spec, System
from vae_jax.systems.vae import build as build_m1


def stacked(lower: VAE, given: Given) -> Given:
    """The model of x under a class, z = (z1, z2): `p(z2) p(z1 | y, z2) p(x | z1)`, with `q(z1 | x) q(z2 | z1, y)`.

    `lower` is M1, whose own prior is not used. `given` is the model of z1 under a class, of parameters `params["m2"]`.
    """

    def of_class(y: Array) -> VAE:
        def encode(params: Params, x: Any) -> Any:
            upper = Partial(lambda m2, z: given(m2[1]).encode(m2[0], z), (params["m2"], y))
            return bottom_up(lower.encode(params, x), upper)

        def prior(params: Params) -> Any:
            below = Partial(lambda m2, z: given(m2[1]).decode(m2[0], z), (params["m2"], y))
            return top_down(given(y).prior(params["m2"]), below)

        return VAE(encode, lambda params, z: lower.decode(params, z[0]), prior)

    return of_class


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    labels, model, codes = config.labels, config.model, config.codes
    if not hasattr(POSTERIORS[model.posterior].kind, "mean"):
        raise ConfigError(
            f"M2 classifies the mean of q(z1 | x), and the posterior {model.posterior} has none: use --posterior "
            "diagonal."
        )
    shift = corruption_of(replace(codes, corruption="none"), dataset)
    corrupt = corruption_of(replace(codes, corruption_shift=0), dataset)
    m1 = build_m1(replace(config, model=replace(model, upper_latent_sizes=())), dataset)
    assert isinstance(m1.vae, VAE)
    vae, classes, size = m1.vae, num_classes(dataset), model.latent_size
    (upper,) = model.upper_latent_sizes or (size,)
    # Of M2's own networks. With tanh, which is good for M1, M2 is slow to correct the classes it first assigns.
    activation, hidden = nn.relu, model.upper_hidden
    encoder = nn.Sequential([MLP(hidden, activation), DiagNormalHead(upper)])
    decoder = nn.Sequential([MLP(hidden, activation), DiagNormalHead(size)])
    sizes = {"latent_size": upper, "condition_size": classes}
    nets = conditional(encoder, decoder, normal(upper), **sizes, activation=activation)
    # As deep as the encoder, which has one layer more, for the class.
    network = nn.Sequential([MLP((*hidden, hidden[-1]), activation), nn.Dense(classes)])
    logits = linen_apply(network)

    def classify_feature(params: Params, z: Any) -> Array:
        return logits(params["classifier"], z)

    losses, draw = losses_of(config, nets.given, classify_feature), few_labels(config, dataset)

    def init(key: Key, batch: Batch) -> Params:
        m1_key, m2_key, class_key = jax.random.split(key, 3)
        z = jnp.zeros(size)
        m2 = nets.init(m2_key, z, jnp.zeros(classes)) | {"classifier": from_linen(network, class_key, z).params}
        return m1.init(m1_key, batch) | {"m2": m2}

    def feature(params: Params, x: Any) -> Array:
        # The mean, since draws of the dimensions that M1 does not use are nothing but noise.
        return freeze(vae.encode(params, x).mean)

    def m2_loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        def view(key: Key, x: Any) -> tuple[Array, Array]:
            z_key, shift_key, corrupt_key = jax.random.split(key, 3)
            corrupted = corrupt(corrupt_key, feature(params, shift(shift_key, x)))
            return freeze(vae.encode(params, x).sample(z_key)), corrupted

        options: dict[str, Any] = {"label_weight": labels.label_weight, "classifier_weight": labels.classifier_weight}
        options["parts"] = config.compute.accumulate
        return label_loss(losses, classify_feature, draw, view, **options)(params["m2"], key, batch, step)

    def classify(params: Params, x: Any) -> Array:
        return classify_feature(params["m2"], feature(params, x))

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        m1_key, m2_key = jax.random.split(key)
        m1_value, metrics = m1.loss(freeze(params), m1_key, batch, step)
        m2_value, m2_metrics = m2_loss(params, m2_key, batch, step)
        return m1_value + m2_value, {**metrics, **{f"m2_{name}": value for name, value in m2_metrics.items()}}

    def m1_loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        value, metrics = m1.loss(params, jax.random.split(key)[0], batch, step)
        # The metrics of M2 are 0 until it trains.
        both = jax.eval_shape(loss, params, key, batch, step)[1]
        return value, {name: metrics.get(name, jnp.zeros(like.shape, like.dtype)) for name, like in both.items()}

    return System(
        init=init,
        loss=with_accuracy(staged([m1_loss, loss], [second_stage_start(config, dataset)]), classify),
        vae=vae,
        given=stacked(vae, nets.given),
        conditions=jnp.eye(classes),
        optimizer=staged_rules(config, dataset, "m2", of_first=m1.optimizer),
        classify=classify,
        comparable=m1.comparable,
    )


def _one_upper_layer(config: Experiment) -> str | None:
    sizes = config.model.upper_latent_sizes
    if not config.model.upper_hidden:
        return "the classifier of M1 + M2 is as wide as the last of --upper-hidden, which needs at least one layer"
    if len(sizes) < 2:
        return None
    return f"M1 + M2 has one layer above z: --upper-latent-sizes takes one number, got {sizes}"


SPEC = Spec(
    build,
    reads=(
        *("objective", "stages", "codes.corruption", "codes.corruption_level", "codes.corruption_shift"),
        *("labels.label_batch", "labels.label_weight", "labels.classifier_weight", "labels.label_gradient"),
        "compute.accumulate",
    ),
    requires=(trainable_bound, optimal_scale_alone, no_path, one_vector, _one_upper_layer),
    # M2 models z1 by normals.
    doubts=(free_numbers,),
)
