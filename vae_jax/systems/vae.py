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
from vae_jax.distributions import Array, Key
from vae_jax.estimators import Estimate
from vae_jax.model import VAE, Params
from vae_jax.nets import conv, mlp
from vae_jax.nets.heads import POSTERIORS, BernoulliHead, NormalHead
from vae_jax.nets.layers import StochasticLayer, between, layered_init, layered_vae
from vae_jax.systems.stages import staged
from vae_jax.systems.system import Batch, Loss, Metrics, System
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


def mean_loss(vae: VAE, example_loss: ExampleLoss) -> Loss:
    """The mean over a batch, a dict with `x` `[B, …]`, of the loss and the metrics of one example."""

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        size = jax.tree.leaves(batch["x"])[0].shape[0]
        one = jax.vmap(lambda key, x: example_loss(vae, params, key, x))
        losses, metrics = one(jax.random.split(key, size), batch["x"])
        return jnp.mean(losses), jax.tree.map(jnp.mean, metrics)

    return loss


def vae_system(encoder: nn.Module, decoder: nn.Module, *, latent_size: int, example_loss: ExampleLoss) -> System:
    """A system from a pair of Linen networks, a standard normal prior and the loss of one example."""
    layers = [StochasticLayer(encoder, decoder, latent_size)]
    vae = layered_vae(layers)
    return System(init=layered_init(layers), loss=mean_loss(vae, example_loss), vae=vae)


def stochastic_layers(model: Model, shape: tuple[int, ...], mean: np.ndarray) -> list[StochasticLayer]:
    """The layers of a config, for examples of `shape` with the given data mean; the lowest is that of x."""
    activation = {"tanh": nn.tanh, "relu": nn.relu, "silu": nn.silu, "gelu": nn.gelu, "softplus": nn.softplus}
    chosen = activation[model.activation]
    posterior = POSTERIORS[model.posterior](size=model.latent_size)  # pyright: ignore[reportCallIssue]
    if model.likelihood == "bernoulli":
        likelihood = BernoulliHead(mean)
    else:
        likelihood = NormalHead(mean, model.initial_scale, model.likelihood_scale)
    if model.network == "conv":
        lowest = conv(shape, posterior, likelihood, channels=model.hidden, activation=chosen)
    else:
        lowest = mlp(shape, posterior, likelihood, hidden=model.hidden, activation=chosen)
    layers = [StochasticLayer(*lowest, model.latent_size)]
    for size in model.upper_latent_sizes:
        below = layers[-1].latent_size
        layers.append(StochasticLayer(*between(below, size, hidden=model.upper_hidden, activation=chosen), size))
    return layers


def objective_loss(objective: Objective, num_samples: int) -> ExampleLoss:
    """The loss of one example that a config names, with `num_samples` draws of z."""
    if objective.estimator == "analytic":
        return analytic_loss(beta=objective.beta, num_samples=num_samples)
    chosen = {"elbo": bounds.elbo, "iwae": bounds.iwae, "renyi": bounds.renyi(objective.alpha)}
    estimate = _ESTIMATORS[objective.estimator](chosen[objective.bound])
    return bound_loss(estimate, num_samples=num_samples)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    if config.model.likelihood == "bernoulli" and not dataset.is_binary:
        raise ConfigError(
            f"a Bernoulli likelihood is for zeros and ones, but {dataset.name} holds "
            f"{'real numbers' if dataset.levels is None else f'counts 0..{dataset.levels}'}. Use --binarisation "
            "dynamic (or static), or --likelihood normal."
        )
    objective = config.objective
    layers = stochastic_layers(config.model, dataset.shape, dataset.mean())
    vae = layered_vae(layers)
    num_steps = config.train.epochs * (len(dataset.train.x) // config.train.batch_size)
    losses = [mean_loss(vae, objective_loss(objective, k)) for k in (objective.num_samples, *objective.grow_to)]
    starts = [round(share * num_steps) for share in objective.grow_at]
    return System(init=layered_init(layers), loss=staged(losses, starts), vae=vae)
