"""The variational autoencoder: any bound, any gradient estimator, or the ELBO with its KL in closed form.

Auto-Encoding Variational Bayes, arXiv 1312.6114; Importance Weighted Autoencoders, arXiv 1509.00519;
beta-VAE (Higgins et al., ICLR 2017).
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vae_jax import bounds, estimators
from vae_jax.bounds import Bound
from vae_jax.config import ConfigError, Experiment, Model, Objective
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import Array, Key, standard_normal
from vae_jax.estimators import Estimate
from vae_jax.model import VAE, Params
from vae_jax.nets import conv, from_linen, linen_apply, mlp
from vae_jax.nets.heads import POSTERIORS, BernoulliHead, NormalHead
from vae_jax.systems.system import Batch, Metrics, System
from vae_jax.terms import elbo_terms

_ESTIMATORS: dict[str, Callable[[Bound], Estimate]] = {
    "total": estimators.total,
    "stl": estimators.stl,
    "dreg": estimators.dreg,
    "score": estimators.score,
}

# The loss of one example, and its metrics.
ExampleLoss = Callable[[VAE, Params, Key, Any], tuple[Array, Metrics]]


def bound_loss(estimate: Estimate, *, num_samples: int) -> ExampleLoss:
    """Minus a bound, with the gradient of an estimator. Metric: `bound`, in nats per example."""

    def loss(vae: VAE, params: Params, key: Key, x: Any) -> tuple[Array, Metrics]:
        value = estimate(vae, params, key, x, num_samples=num_samples)
        return -value, {"bound": value}

    return loss


def analytic_loss(*, beta: float | Array, num_samples: int) -> ExampleLoss:
    """`β KL − E log p(x|z)`, the KL in closed form. Metrics: `bound` (the ELBO itself, whatever β), and its terms."""

    def loss(vae: VAE, params: Params, key: Key, x: Any) -> tuple[Array, Metrics]:
        terms = elbo_terms(vae, params, key, x, num_samples=num_samples)
        kl = jnp.sum(terms.kl)
        metrics = {"bound": terms.log_likelihood - kl, "log_likelihood": terms.log_likelihood, "kl": kl}
        return beta * kl - terms.log_likelihood, metrics

    return loss


def vae_system(encoder: nn.Module, decoder: nn.Module, *, latent_size: int, example_loss: ExampleLoss) -> System:
    """A system from a pair of Linen networks, a standard normal prior and the loss of one example.

    Batches are dicts with `x`, `[B, …]`; the loss is the mean over the batch.
    """
    vae = vae_from_modules(encoder, decoder, latent_size=latent_size)

    def init(key: Key, batch: Batch) -> Params:
        encoder_key, decoder_key = jax.random.split(key)
        x = jax.tree.map(lambda leaf: leaf[0], batch["x"])
        return {
            "encoder": from_linen(encoder, encoder_key, x).params,
            "decoder": from_linen(decoder, decoder_key, jnp.zeros(latent_size)).params,
        }

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        size = jax.tree.leaves(batch["x"])[0].shape[0]
        one = jax.vmap(lambda key, x: example_loss(vae, params, key, x))
        losses, metrics = one(jax.random.split(key, size), batch["x"])
        return jnp.mean(losses), jax.tree.map(jnp.mean, metrics)

    return System(init=init, loss=loss, vae=vae)


def vae_from_modules(encoder: nn.Module, decoder: nn.Module, *, latent_size: int) -> VAE:
    """The model of two Linen networks with the prior N(0, I); its parameters are a dict `encoder`, `decoder`."""
    encode, decode = linen_apply(encoder), linen_apply(decoder)
    return VAE(
        encode=lambda params, x: encode(params["encoder"], x),
        decode=lambda params, z: decode(params["decoder"], z),
        prior=lambda params: standard_normal(latent_size),
    )


def networks(model: Model, shape: tuple[int, ...], mean: np.ndarray) -> tuple[nn.Module, nn.Module]:
    """The (encoder, decoder) pair of a config, for examples of `shape` with the given data mean."""
    posterior = POSTERIORS[model.posterior](size=model.latent_size)  # pyright: ignore[reportCallIssue]
    if model.likelihood == "bernoulli":
        likelihood = BernoulliHead(mean)
    else:
        likelihood = NormalHead(mean, model.initial_scale, model.likelihood_scale)
    activation = {"tanh": nn.tanh, "relu": nn.relu, "silu": nn.silu, "gelu": nn.gelu, "softplus": nn.softplus}
    chosen = activation[model.activation]
    if model.network == "conv":
        return conv(shape, posterior, likelihood, channels=model.hidden, activation=chosen)
    return mlp(shape, posterior, likelihood, hidden=model.hidden, activation=chosen)


def objective_loss(objective: Objective) -> ExampleLoss:
    """The loss of one example that a config names."""
    if objective.estimator == "analytic":
        return analytic_loss(beta=objective.beta, num_samples=objective.num_samples)
    chosen = {"elbo": bounds.elbo, "iwae": bounds.iwae, "renyi": bounds.renyi(objective.alpha)}
    estimate = _ESTIMATORS[objective.estimator](chosen[objective.bound])
    return bound_loss(estimate, num_samples=objective.num_samples)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    if config.model.likelihood == "bernoulli" and not dataset.is_binary:
        raise ConfigError(
            f"a Bernoulli likelihood is for zeros and ones, but {dataset.name} holds "
            f"{'real numbers' if dataset.levels is None else f'counts 0..{dataset.levels}'}. Use --binarisation "
            "dynamic (or static), or --likelihood normal."
        )
    encoder, decoder = networks(config.model, dataset.shape, dataset.mean())
    return vae_system(
        encoder, decoder, latent_size=config.model.latent_size, example_loss=objective_loss(config.objective)
    )
