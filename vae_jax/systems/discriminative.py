"""Discriminative regularisation: what is decoded must look like x to a classifier too, layer by layer.

    −E_q[log p(x | z) + w Σ_l log p(d_l(x) | z)] + KL(q(z | x) ‖ p(z)),   p(d_l | z) = N(d_l(E[x | z]), s_l²)

d_l are the hidden layers of a network that tells the classes of x. The squared error of pixels does not see an edge
that is blurred, and these layers do. The terms of the layers say nothing that x does not say already, so the sum is no
bound on log p(x); the metric `bound` is the ELBO without them.

Discriminative Regularization for Generative Models, arXiv 1602.03220. There the classifier is trained beforehand; here
it trains in the same step, with an optimiser of its own, and the model's terms do not move it.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from vae_jax.config.fields import Experiment
from vae_jax.core.examples import over_examples
from vae_jax.core.trees import first_example, freeze, num_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.data.labels import UNLABELLED, num_classes
from vae_jax.distributions import DiagNormal, sample_and_log_prob
from vae_jax.models.vae import VAE, posterior_and_prior
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.classifier import Classifier
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.optimizers.groups import apart
from vae_jax.systems.parts.families import prior_name
from vae_jax.systems.parts.legality import objection
from vae_jax.systems.parts.networks import elements_of, reader, vae_networks
from vae_jax.systems.parts.requirements import differentiable_codes, every_label, gradient_scale, one_layer
from vae_jax.systems.system import Batch, Loss, Metrics, Spec, System

_STREAM = 3


class _Terms(NamedTuple):
    """Of one example, in nats: the log-weight of a draw, the log-density of the layers, and −log q(y | x)."""

    log_weight: Array
    likeness: Array
    surprise: Array


def discriminative_loss(vae: VAE, classifier: nn.Module, *, weight: float | Array, parts: int = 1) -> Loss:
    """Minus the ELBO, less `weight` times the log-density of the layers, plus the classifier's own cross-entropy.

    The batch is computed in `parts`, as `over_examples` does. Metrics: `bound` (the ELBO), `likeness` (log-density of
    the layers), `classifier` (its cross-entropy).
    """
    seen = linen_apply(classifier)

    def of_example(params: Params, key: Key, example: dict[str, Any]) -> _Terms:
        x, label = example["x"], example["label"]
        posterior, prior = posterior_and_prior("discriminative", vae, params, key, x)
        z, log_q = sample_and_log_prob(posterior, key)
        decoded = vae.decode(params, z)
        log_weight = decoded.log_prob(x) + prior.log_prob(z) - log_q
        fixed = freeze(params["classifier"])
        (of_x, _), (of_mean, _) = seen(fixed, x), seen(fixed, decoded.mean)
        pairs = zip(of_x, of_mean, params["log_scales"], strict=True)
        likeness = sum(DiagNormal(mean, jnp.exp(log_scale)).log_prob(layer) for layer, mean, log_scale in pairs)
        log_probs = jax.nn.log_softmax(seen(params["classifier"], x)[1])
        surprise = jnp.where(label == UNLABELLED, 0.0, -log_probs[jnp.maximum(label, 0)])
        return _Terms(log_weight, jnp.asarray(likeness), surprise)

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        unknown = jnp.full(num_examples(batch["x"]), UNLABELLED)
        examples = {"x": batch["x"], "label": batch.get("label", unknown)}
        terms = over_examples(lambda key, example: of_example(params, key, example), key, examples, parts=parts)
        bound, likeness, surprise = map(jnp.mean, terms)
        metrics = {"bound": bound, "likeness": likeness, "classifier": surprise}
        return surprise - bound - weight * likeness, metrics

    return loss


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model, or have no labels."""
    (vae, init_vae), codes, model = vae_networks(config.model, dataset), config.codes, config.model
    seen_as = reader(model, dataset.shape, elements_of(dataset))
    classifier = Classifier(seen_as, codes.critic_hidden, num_classes(dataset))

    def init(key: Key, batch: Batch) -> Params:
        network = from_linen(classifier, jax.random.fold_in(key, _STREAM), first_example(batch["x"]))
        scales = [jnp.zeros(()) for _ in codes.critic_hidden]
        return init_vae(key, batch) | {"classifier": network.params, "log_scales": scales}

    optimizer = partial(apart, {"classifier": optax.adam(codes.critic_rate)})
    loss = discriminative_loss(vae, classifier, weight=codes.critic_weight, parts=config.compute.accumulate)

    def classify(params: Params, x: Any) -> Array:
        return linen_apply(classifier)(params["classifier"], x)[1]

    return System(init, loss, vae, optimizer=optimizer, classify=classify, comparable=False)


def _has_weights(config: Experiment) -> str | None:
    """The loss has a log-weight in it, with the gradient of its draw."""
    model = config.model
    return objection(model.posterior, prior_name(model), "elbo", "total")


def _seen_by_its_mean(config: Experiment) -> str | None:
    """The classifier sees the mean of p(x | z), which it must have, with a gradient."""
    model = config.model
    if model.autoregressive_layers:
        return (
            "--autoregressive-layers draw pixel by pixel and have no mean that a classifier could see: leave them out"
        )
    if LIKELIHOODS[model.likelihood].of in ("columns", "unbounded"):
        return f"--system discriminative is for images: use --likelihood bernoulli or normal, not {model.likelihood}"
    return None


SPEC = Spec(
    build,
    reads=("codes.critic_hidden", "codes.critic_rate", "codes.critic_weight", "compute.accumulate"),
    requires=(one_layer, differentiable_codes, gradient_scale, _has_weights, _seen_by_its_mean),
    doubts=(every_label,),
)
