"""The loss that the objective of a config names: any bound and gradient estimator, or the ELBO in two terms.

Auto-Encoding Variational Bayes, arXiv 1312.6114; Importance Weighted Autoencoders, arXiv 1509.00519;
beta-VAE (Higgins et al., ICLR 2017).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from vae_jax.config.fields import Experiment, Objective
from vae_jax.core.examples import over_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.models.vae import VAE
from vae_jax.objectives import bounds, estimators
from vae_jax.objectives.bounds import Bound
from vae_jax.objectives.estimators import Estimate
from vae_jax.objectives.terms import elbo_terms, sampled_terms
from vae_jax.optimizers.groups import apart
from vae_jax.systems.parts.rate import TermsOf, terms_loss, weigh_by
from vae_jax.systems.parts.stages import second_stage_start, staged, total_steps
from vae_jax.systems.system import Batch, Loss, Metrics, System

# The bounds and estimators that a config may name.
BOUNDS: dict[str, Callable[[Objective], Bound]] = {
    "elbo": lambda objective: bounds.elbo,
    "iwae": lambda objective: bounds.iwae,
    "renyi": lambda objective: bounds.renyi(objective.alpha),
}
TERMS: dict[str, TermsOf] = {"analytic": elbo_terms, "sampled": sampled_terms}
ESTIMATORS: dict[str, Callable[[Bound], Estimate]] = {
    "total": estimators.total,
    "stl": estimators.stl,
    "dreg": estimators.dreg,
    "score": estimators.score,
}

# The learning rate of the logarithm of GECO's multiplier; under Adam the scale of the distortion does not matter.
_MULTIPLIER_RATE = 1e-2

# The loss of one example, and its metrics.
ExampleLoss = Callable[[VAE, Params, Key, Any], tuple[Array, Metrics]]


def bound_loss(estimate: Estimate, *, num_samples: int) -> ExampleLoss:
    """Minus a bound, with the gradient of an estimator. Metric: `bound`, in nats per example."""

    def loss(vae: VAE, params: Params, key: Key, x: Any) -> tuple[Array, Metrics]:
        value = estimate(vae, params, key, x, num_samples=num_samples)
        return -value, {"bound": value}

    return loss


def mean_loss(vae: VAE, example_loss: ExampleLoss, *, parts: int = 1) -> Loss:
    """The mean over a batch, a dict with `x` `[B, …]`, of the loss and the metrics of one example.

    `parts`: the batch is computed in so many, as `over_examples` does.
    """

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step

        def of_example(key: Key, x: Any) -> tuple[Array, Metrics]:
            return example_loss(vae, params, key, x)

        losses, metrics = over_examples(of_example, key, batch["x"], parts=parts)
        return jnp.mean(losses), jax.tree.map(jnp.mean, metrics)

    return loss


def objective_loss(vae: VAE, objective: Objective, num_samples: int, num_steps: int, *, parts: int = 1) -> Loss:
    """The loss that an objective names, with `num_samples` draws of z, in a run of `num_steps`; batches in `parts`."""
    if objective.estimator in TERMS:
        terms = TERMS[objective.estimator]
        return terms_loss(vae, terms, weigh_by(objective, num_steps), num_samples=num_samples, parts=parts)
    estimate = ESTIMATORS[objective.estimator](BOUNDS[objective.bound](objective))
    return mean_loss(vae, bound_loss(estimate, num_samples=num_samples), parts=parts)


def staged_objective(vae: VAE, config: Experiment, dataset: Dataset) -> Loss:
    """The loss of a config over its run, in which the number of draws may grow; of two stages, over the first."""
    objective = config.objective
    two = config.stages.second_stage_at is not None
    num_steps = second_stage_start(config, dataset) if two else total_steps(config, dataset)
    parts, ks = config.compute.accumulate, (objective.num_samples, *objective.grow_to)
    losses = [objective_loss(vae, objective, k, num_steps, parts=parts) for k in ks]
    return staged(losses, [round(share * num_steps) for share in objective.grow_at])


def constrained(system: System, objective: Objective) -> System:
    """The system with GECO's multiplier, which moves against the model, where the objective has a constraint."""
    if objective.most_distortion is None:
        return system

    def init(key: Key, batch: Batch) -> Params:
        return system.init(key, batch) | {"log_multiplier": jnp.zeros(())}

    optimizer = partial(apart, {"log_multiplier": optax.adam(_MULTIPLIER_RATE)})
    return system._replace(init=init, optimizer=optimizer, comparable=False)
