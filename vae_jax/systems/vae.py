"""The variational autoencoder: any bound, any gradient estimator, or the ELBO with its KL in closed form.

Auto-Encoding Variational Bayes, arXiv 1312.6114; Importance Weighted Autoencoders, arXiv 1509.00519;
beta-VAE (Higgins et al., ICLR 2017).
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae_jax import bounds, estimators
from vae_jax.bounds import Bound
from vae_jax.config import Experiment, Objective
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import Array, Key
from vae_jax.estimators import Estimate
from vae_jax.model import VAE, Params
from vae_jax.nets.layers import StochasticLayer, layered_init, layered_vae
from vae_jax.nets.priors import Prior
from vae_jax.systems.networks import networks
from vae_jax.systems.rate import multiplier_apart, terms_loss, weigh_by, with_multiplier
from vae_jax.systems.scale import optimal_scale
from vae_jax.systems.stages import staged, total_steps
from vae_jax.systems.system import Batch, Loss, Metrics, System
from vae_jax.terms import elbo_terms, sampled_terms

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


def mean_loss(vae: VAE, example_loss: ExampleLoss) -> Loss:
    """The mean over a batch, a dict with `x` `[B, …]`, of the loss and the metrics of one example."""

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        size = jax.tree.leaves(batch["x"])[0].shape[0]
        one = jax.vmap(lambda key, x: example_loss(vae, params, key, x))
        losses, metrics = one(jax.random.split(key, size), batch["x"])
        return jnp.mean(losses), jax.tree.map(jnp.mean, metrics)

    return loss


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


def objective_loss(vae: VAE, objective: Objective, num_samples: int, num_steps: int) -> Loss:
    """The loss that a config names, with `num_samples` draws of z, in a run of `num_steps`."""
    if objective.estimator in ("analytic", "sampled"):
        terms = elbo_terms if objective.estimator == "analytic" else sampled_terms
        return terms_loss(vae, terms, weigh_by(objective, num_steps), num_samples=num_samples)
    chosen = {"elbo": bounds.elbo, "iwae": bounds.iwae, "renyi": bounds.renyi(objective.alpha)}
    estimate = _ESTIMATORS[objective.estimator](chosen[objective.bound])
    return mean_loss(vae, bound_loss(estimate, num_samples=num_samples))


def staged_objective(vae: VAE, config: Experiment, dataset: Dataset) -> Loss:
    """The loss of a config over its whole run, in which the number of draws may grow."""
    objective = config.objective
    num_steps = total_steps(config, dataset)
    losses = [objective_loss(vae, objective, k, num_steps) for k in (objective.num_samples, *objective.grow_to)]
    return staged(losses, [round(share * num_steps) for share in objective.grow_at])


def constrained(system: System, objective: Objective) -> System:
    """The system with GECO's multiplier, which moves against the model, where the objective has a constraint."""
    if objective.most_distortion is None:
        return system
    return system._replace(init=with_multiplier(system.init), optimizer=multiplier_apart, comparable=False)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    model = config.model
    layers, prior = networks(model, dataset)
    vae, init = layered_vae(layers, prior), layered_init(layers, prior)
    system = constrained(System(init=init, loss=staged_objective(vae, config, dataset), vae=vae), config.objective)
    if model.likelihood == "normal" and model.likelihood_scale == "optimal":
        return system._replace(optimizer=partial(optimal_scale, math.prod(dataset.shape)))
    return system
