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
from vae_jax.systems.parts.requirements import gradient_scale, one_layer
from vae_jax.systems.system import Batch, Loss, Metrics, Spec, System

# `(params, x) -> logits [C]` of q(y | x).
Classify = Callable[[Params, Any], Array]
# From one example to what the model gives a density of, and what its classifier is shown instead.
View = Callable[[Key, Any], tuple[Any, Any]]


class LabelLosses(NamedTuple):
    """Losses of one example, nats. y is one-hot, `[C]`."""

    labelled: Callable[[Params, Key, Any, Array], Array]
    """`(params, key, x, y) -> −ELBO(x, y)`."""
    unlabelled: Callable[[Params, Key, Any, Any], Array]
    """`(params, key, x, seen) -> −ELBO(x)` with q(y | seen): x, or x with noise, since q may depend on noise that is
    drawn beside x."""


def _pair_bound(given: Given, params: Params, key: Key, x: Any, y: Array) -> Array:
    """The ELBO of log p(x, y), p(y) uniform; linear in log p(y), so y may be relaxed."""
    terms = elbo_terms(given(y), params, key, x)
    return terms.log_likelihood - jnp.sum(terms.kl) - jnp.log(y.shape[0])


def marginalised(given: Given, classify: Classify) -> LabelLosses:
    """The unlabelled bound by its sum over the classes: `Σ_y q(y | x) ELBO(x, y) + H(q(y | x))`, exact in y."""

    def labelled(params: Params, key: Key, x: Any, y: Array) -> Array:
        return -_pair_bound(given, params, key, x, y)

    def unlabelled(params: Params, key: Key, x: Any, seen: Any) -> Array:
        log_q = jax.nn.log_softmax(classify(params, seen))
        # One draw of the noise for all classes; what of x alone is computed once.
        bounds = jax.vmap(lambda y: _pair_bound(given, params, key, x, y))(jnp.eye(log_q.shape[0]))
        return -jnp.sum(jnp.exp(log_q) * (bounds - log_q))

    return LabelLosses(labelled, unlabelled)


def concrete(given: Given, classify: Classify, *, temperature: float | Array) -> LabelLosses:
    """The unlabelled bound with one relaxed draw of the label: a tenth of the cost for ten classes, and biased."""

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
    """The same model with the class as the lower of two latent layers, `z = (y, z)`: log p(x), whatever the label."""

    def encode(params: Params, x: Any) -> Any:
        style = Partial(lambda held, y: given(y[0]).encode(*held), (params, x))
        return bottom_up(OneHotCategorical(classify(params, x)[None]), style)

    def prior(params: Params) -> Any:
        return bottom_up(OneHotCategorical(jnp.zeros((1, classes))), Partial(lambda p, y: given(y[0]).prior(p), params))

    return VAE(encode, lambda params, z: given(z[0][0]).decode(params, z[1]), prior)


def corrupted(corrupt: Corruption) -> View:
    """x itself, and x corrupted for the classifier, which would otherwise know a few labelled examples by heart."""
    return lambda key, x: (x, corrupt(key, x))


def label_loss(
    losses: LabelLosses,
    classify: Classify,
    draw_labelled: Callable[[Key], tuple[Any, Array]],
    view: View,
    *,
    label_weight: float | Array,
    classifier_weight: float | Array,
) -> Loss:
    """Over a batch without labels, and as many labelled examples as `draw_labelled(key) -> (example, one-hot y)` gives:

        mean U(x, seen) + label_weight · mean L(x, y) + classifier_weight · mean −log q(y | seen)

    with `x, seen = view(key, example)`. Metrics: `bound` (−U), `labelled_bound` (−L), `cross_entropy`.
    """

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        few_key, labelled_key, unlabelled_key, view_key = jax.random.split(key, 4)
        few, y = draw_labelled(few_key)
        shown = jnp.concatenate([few, batch["x"]])
        x, seen = jax.vmap(view)(jax.random.split(view_key, len(shown)), shown)
        n = len(y)
        keys = jax.random.split(labelled_key, n)
        with_label = jnp.mean(jax.vmap(lambda key, x, y: losses.labelled(params, key, x, y))(keys, x[:n], y))
        log_q = jax.nn.log_softmax(jax.vmap(lambda seen: classify(params, seen))(seen[:n]))
        cross_entropy = -jnp.mean(jnp.sum(y * log_q, axis=1))
        keys = jax.random.split(unlabelled_key, len(shown) - n)
        without = jnp.mean(
            jax.vmap(lambda key, x, seen: losses.unlabelled(params, key, x, seen))(keys, x[n:], seen[n:])
        )
        metrics = {"bound": -without, "labelled_bound": -with_label, "cross_entropy": cross_entropy}
        return without + label_weight * with_label + classifier_weight * cross_entropy, metrics

    return loss


def with_accuracy(loss: Loss, classify: Classify) -> Loss:
    """The same loss with a metric `accuracy` of `classify(params, x) -> logits`, where a batch has labels.

    Labels of a batch are used for nothing else.
    """

    def measured(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        value, metrics = loss(params, key, batch, step)
        if "label" in batch:
            predicted = jnp.argmax(jax.vmap(lambda x: classify(params, x))(batch["x"]), axis=1)
            known = is_labelled(batch["label"])
            right = jnp.sum(known & (predicted == batch["label"]))
            metrics = {**metrics, "accuracy": right / jnp.maximum(jnp.sum(known), 1)}
        return value, metrics

    return measured


def few_labels(config: Experiment, dataset: Dataset) -> Callable[[Key], tuple[Any, Array]]:
    """`key -> (x [B, …], one-hot y [B, C])`: a batch of the labelled examples of a config, drawn with replacement."""
    labels, classes = config.labels, num_classes(dataset)
    if labels.labelled is None:
        raise ConfigError("a system with few labels needs their number: --labelled 100.")
    rows = labelled_rows(dataset.train.label, labels.labelled, labels.label_seed)
    few = dataset.train.take(rows)
    size = min(labels.label_batch, len(rows))

    def draw(key: Key) -> tuple[Any, Array]:
        rows_key, prepare_key = jax.random.split(key)
        chosen = jax.random.choice(rows_key, len(few.x), (size,), replace=False)
        batch = dataset.prepare(prepare_key, {"x": jnp.asarray(few.x)[chosen]})
        return batch["x"], jax.nn.one_hot(jnp.asarray(few.label)[chosen], classes)

    return draw


def classifier(config: Experiment, dataset: Dataset) -> nn.Module:
    """q(y | x), x to logits `[C]`: convolutions of its own, or a network like the encoder's, with other layers."""
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
    judge = linen_apply(network)

    def classify(params: Params, x: Any) -> Array:
        return judge(params["classifier"], x)

    def init(key: Key, batch: Batch) -> Params:
        x = batch["x"][0]
        start = nets.init(key, x, jnp.zeros(classes))
        return start | {"classifier": from_linen(network, jax.random.fold_in(key, 1), x).params}

    loss = label_loss(
        losses_of(config, nets.given, classify),
        classify,
        few_labels(config, dataset),
        corrupted(corruption_of(config.codes)),
        label_weight=labels.label_weight,
        classifier_weight=labels.classifier_weight,
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
    ),
    requires=(one_layer, gradient_scale),
)
