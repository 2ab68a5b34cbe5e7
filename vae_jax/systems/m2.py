"""M2: a generative model of x with a class y and a style z, learned from few labels and many examples without one.

    p(x, y, z) = p(y) p(z) p(x | y, z),    q(y, z | x) = q(y | x) q(z | x, y)

Semi-supervised Learning with Deep Generative Models, arXiv 1406.5298. The label of an unlabelled example is summed
over, or drawn relaxed (Categorical Reparameterization with Gumbel-Softmax, arXiv 1611.01144).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.core.examples import over_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.data.labels import is_labelled, labelled_rows, num_classes
from vae_jax.distributions import Concrete, OneHotCategorical
from vae_jax.distributions.hierarchy import bottom_up
from vae_jax.models.vae import VAE
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.conditional import Given
from vae_jax.objectives.corruptions import Corruption
from vae_jax.objectives.terms import elbo_terms
from vae_jax.systems.conditional import conditional_networks
from vae_jax.systems.parts.families import corruption_of
from vae_jax.systems.parts.networks import networks
from vae_jax.systems.parts.requirements import (
    closed_kl,
    gradient_scale,
    one_layer,
    one_vector,
    shares_to_corrupt,
    units_to_corrupt,
)
from vae_jax.systems.system import UNKNOWN_SHARE, Batch, Loss, Metrics, Spec, System

# `(params, x) -> logits [C]` of q(y | x).
Classify = Callable[[Params, Any], Array]
# `(key, example) -> (x, seen)`: what the model gives a density of, and what its classifier sees in the place of x.
View = Callable[[Key, Any], tuple[Any, Any]]


class LabelLosses(NamedTuple):
    """Losses of one example, nats. y is one-hot, `[C]`."""

    labelled: Callable[[Params, Key, Any, Array], Array]
    """`(params, key, x, y) -> −ELBO(x, y)`."""
    unlabelled: Callable[[Params, Key, Any, Any], Array]
    """`(params, key, x, seen) -> −ELBO(x)` with q(y | seen), where `seen` is x, or x with noise: the bound holds for a
    q that depends on such noise too."""


def _pair_bound(given: Given, params: Params, key: Key, x: Any, y: Array) -> Array:
    """The ELBO of log p(x, y), where p(y) is uniform. y may be relaxed, since log p(y) is the same for all y."""
    terms = elbo_terms(given(y), params, key, x)
    return terms.log_likelihood - jnp.sum(terms.kl) - jnp.log(y.shape[0])


def marginalised(given: Given, classify: Classify) -> LabelLosses:
    """The unlabelled bound as a sum over the classes: `Σ_y q(y | x) ELBO(x, y) + H(q(y | x))`, exact in y."""

    def labelled(params: Params, key: Key, x: Any, y: Array) -> Array:
        return -_pair_bound(given, params, key, x, y)

    def unlabelled(params: Params, key: Key, x: Any, seen: Any) -> Array:
        log_q = jax.nn.log_softmax(classify(params, seen))
        # All classes share one draw of the noise, and what depends on x alone is computed once.
        bounds = jax.vmap(lambda y: _pair_bound(given, params, key, x, y))(jnp.eye(log_q.shape[0]))
        return -jnp.sum(jnp.exp(log_q) * (bounds - log_q))

    return LabelLosses(labelled, unlabelled)


def concrete(given: Given, classify: Classify, *, temperature: float | Array) -> LabelLosses:
    """The unlabelled bound with one relaxed draw of the label: for ten classes a tenth of the cost, but biased."""

    def unlabelled(params: Params, key: Key, x: Any, seen: Any) -> Array:
        label_key, z_key = jax.random.split(key)
        logits = classify(params, seen)
        y = Concrete(logits[None], jnp.asarray(temperature)).sample(label_key)[0]
        log_q = jax.nn.log_softmax(logits)
        return -_pair_bound(given, params, z_key, x, y) + jnp.sum(jnp.exp(log_q) * log_q)

    return LabelLosses(marginalised(given, classify).labelled, unlabelled)


def losses_of(config: Experiment, given: Given, classify: Classify) -> LabelLosses:
    """The losses that a config names."""
    if config.labels.label_gradient == "marginalised":
        return marginalised(given, classify)
    return concrete(given, classify, temperature=config.model.temperature)


def latent_class(given: Given, classify: Classify, *, classes: int) -> VAE:
    """The model of x without its label: a VAE in which the class is the lower of two latent layers, `z = (y, z)`."""

    def encode(params: Params, x: Any) -> Any:
        style = Partial(lambda params_x, y: given(y[0]).encode(*params_x), (params, x))
        return bottom_up(OneHotCategorical(classify(params, x)[None]), style)

    def prior(params: Params) -> Any:
        return bottom_up(OneHotCategorical(jnp.zeros((1, classes))), Partial(lambda p, y: given(y[0]).prior(p), params))

    return VAE(encode, lambda params, z: given(z[0][0]).decode(params, z[1]), prior)


def corrupted(corrupt: Corruption) -> View:
    """x itself, and corrupted x for the classifier, which would otherwise learn the few labelled examples by heart."""
    return lambda key, x: (x, corrupt(key, x))


def label_loss(
    losses: LabelLosses,
    classify: Classify,
    draw_labelled: Callable[[Key], tuple[Any, Array]],
    view: View,
    *,
    label_weight: float | Array,
    classifier_weight: float | Array,
    parts: int = 1,
) -> Loss:
    """Over an unlabelled batch, and the labelled examples that `draw_labelled(key) -> (examples, one-hot y)` gives:

        mean U(x, seen) + label_weight · mean L(x, y) + classifier_weight · mean −log q(y | seen)

    with `x, seen = view(key, example)`, U and L of `losses`; batches are computed in `parts`. Metrics: `bound` (−U),
    `labelled_bound` (−L), `cross_entropy`.
    """

    def over(params: Params, of_pair: Callable[..., Array], key: Key, pairs: tuple[Any, Any]) -> Array:
        """`of_pair(params, key, x, other)` of every pair `(x, other)`."""
        return over_examples(lambda key, pair: of_pair(params, key, *pair), key, pairs, parts=parts)

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        few_key, labelled_key, unlabelled_key, view_key = jax.random.split(key, 4)
        few, y = draw_labelled(few_key)
        examples = jnp.concatenate([few, batch["x"]])
        x, seen = over_examples(view, view_key, examples)
        n = len(y)
        labelled = over(params, losses.labelled, labelled_key, (x[:n], y))
        log_q = jax.nn.log_softmax(jax.vmap(lambda seen: classify(params, seen))(seen[:n]))
        cross_entropy = -jnp.mean(jnp.sum(y * log_q, axis=1))
        unlabelled = over(params, losses.unlabelled, unlabelled_key, (x[n:], seen[n:]))
        bound, labelled_bound = -jnp.mean(unlabelled), -jnp.mean(labelled)
        metrics = {"bound": bound, "labelled_bound": labelled_bound, "cross_entropy": cross_entropy}
        return -bound - label_weight * labelled_bound + classifier_weight * cross_entropy, metrics

    return loss


def with_accuracy(loss: Loss, classify: Classify) -> Loss:
    """The same loss with a metric `accuracy`, of `classify(params, x) -> logits`, where a batch has labels.

    The labels of a batch serve no other purpose. Where some are not known it is `UNKNOWN_SHARE`, as then a mean over
    batches is no mean over examples.
    """

    def measured(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        value, metrics = loss(params, key, batch, step)
        if "label" in batch:
            predicted = jnp.argmax(jax.vmap(lambda x: classify(params, x))(batch["x"]), axis=1)
            right = jnp.mean(predicted == batch["label"])
            metrics = {**metrics, "accuracy": jnp.where(is_labelled(batch["label"]).all(), right, UNKNOWN_SHARE)}
        return value, metrics

    return measured


def few_labels(config: Experiment, dataset: Dataset) -> Callable[[Key], tuple[Any, Array]]:
    """`key -> (x [B, …], one-hot y [B, C])`: different labelled examples, at most `label_batch`, drawn at random."""
    labels, classes = config.labels, num_classes(dataset)
    if labels.labelled is None:
        raise ConfigError("a system with few labels needs their number: --labelled 100.")
    rows = labelled_rows(dataset.train.label, labels.labelled, labels.label_seed)
    few = dataset.train.take(rows)
    size = min(labels.label_batch, len(rows))

    def draw(key: Key) -> tuple[Any, Array]:
        rows_key, prepare_key = jax.random.split(key)
        drawn = jax.random.choice(rows_key, len(few.x), (size,), replace=False)
        batch = dataset.prepare_training(prepare_key, {"x": jnp.asarray(few.x)[drawn]})
        return batch["x"], jax.nn.one_hot(jnp.asarray(few.label)[drawn], classes)

    return draw


def classifier(config: Experiment, dataset: Dataset) -> nn.Module:
    """x to the logits `[C]` of q(y | x): convolutions by `classifier_channels`, or layers like the encoder's."""
    channels, model = config.labels.classifier_channels, config.model
    if channels:
        model = dataclasses.replace(model, network="conv", hidden=channels)
    layers, _ = networks(model, dataset)
    *trunk, _ = layers[0].encoder.layers  # pyright: ignore[reportAttributeAccessIssue]
    return nn.Sequential([*(layer.clone() for layer in trunk), nn.Dense(num_classes(dataset))])


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    labels, classes = config.labels, num_classes(dataset)
    nets = conditional_networks(config.model, dataset, classes)
    network = classifier(config, dataset)
    logits = linen_apply(network)

    def classify(params: Params, x: Any) -> Array:
        return logits(params["classifier"], x)

    def init(key: Key, batch: Batch) -> Params:
        x = batch["x"][0]
        start = nets.init(key, x, jnp.zeros(classes))
        return start | {"classifier": from_linen(network, jax.random.fold_in(key, 1), x).params}

    loss = label_loss(
        losses_of(config, nets.given, classify),
        classify,
        few_labels(config, dataset),
        corrupted(corruption_of(config.codes, dataset)),
        label_weight=labels.label_weight,
        classifier_weight=labels.classifier_weight,
        parts=config.compute.accumulate,
    )
    return System(
        init=init,
        loss=with_accuracy(loss, classify),
        vae=latent_class(nets.given, classify, classes=classes),
        given=nets.given,
        conditions=jnp.eye(classes),
        classify=classify,
    )


SPEC = Spec(
    build,
    reads=(
        *("labels.label_batch", "labels.label_weight", "labels.classifier_weight", "labels.label_gradient"),
        *("labels.classifier_channels", "codes.corruption", "codes.corruption_level", "codes.corruption_shift"),
        "compute.accumulate",
    ),
    requires=(one_layer, one_vector, gradient_scale, closed_kl, shares_to_corrupt),
    doubts=(units_to_corrupt,),
)
