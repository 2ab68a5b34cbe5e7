"""Objectives that weigh the rate: KL warm-up and cycles, free bits, capacity, GECO.

Each is a function of the terms of a batch, `(params, kl [B, groups], distortion [B], step) -> loss`.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from vae_jax.config.fields import Objective
from vae_jax.core.examples import over_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.models.vae import VAE
from vae_jax.objectives.batch import capacity, free_bits, geco
from vae_jax.objectives.terms import Terms
from vae_jax.systems.system import Batch, Loss, Metrics

Weigh = Callable[[Params, Array, Array, Array], Array]
TermsOf = Callable[..., Terms]


def cyclical(num_steps: int, *, rise: float | Array, cycles: int = 1) -> Callable[[Array], Array]:
    """`step -> weight`: in each of `cycles` equal parts of the run, from 0 to 1 over a share `rise`, then 1.

    With one cycle it is KL warm-up; `rise` = 0 is the constant 1.

    Source: Generating Sentences from a Continuous Space, arXiv 1511.06349; Cyclical Annealing Schedule: A Simple
    Approach to Mitigating KL Vanishing, arXiv 1903.10145.
    """
    length = max(num_steps / cycles, 1.0)

    def weight(step: Array) -> Array:
        # Validation asks for the weight at step `num_steps`, which must not begin a new cycle.
        share = (jnp.minimum(step, num_steps - 1) % length) / length
        return jnp.where(share < rise, share / jnp.where(rise == 0.0, 1.0, rise), 1.0)

    return weight


def settled_at(objective: Objective) -> float:
    """The share of a run after which its loss stays the same: the weight of the KL and k have risen."""
    cycles = objective.beta_cycles
    risen = (cycles - 1 + objective.beta_warmup) / cycles if objective.beta_warmup else 0.0
    return max(risen, *objective.grow_at, 0.0)


def weigh_by(objective: Objective, num_steps: int) -> Weigh:
    """The weighing of the KL that an objective names."""
    rising = cyclical(num_steps, rise=objective.beta_warmup, cycles=objective.beta_cycles)
    beta = objective.beta
    if objective.most_distortion is not None:
        most = objective.most_distortion
        return lambda params, kl, distortion, step: geco(
            jnp.sum(kl, axis=1), distortion, params["log_multiplier"], most=most
        )
    if objective.capacity is not None:
        most = objective.capacity
        return lambda params, kl, distortion, step: (
            jnp.mean(distortion) + beta * capacity(jnp.sum(kl, axis=1), target=rising(step) * most)
        )
    # A drawn KL may be below 0 on the mean of a batch, and must not be held at 0 there.
    least = jnp.where(objective.free_bits > 0.0, objective.free_bits, -jnp.inf)
    return lambda params, kl, distortion, step: jnp.mean(distortion) + beta * rising(step) * free_bits(kl, least=least)


def terms_loss(vae: VAE, terms: TermsOf, weigh: Weigh, *, num_samples: int, parts: int = 1) -> Loss:
    """`weigh` of the two terms of a batch. Metrics: `bound` (the ELBO, whatever the weight), `log_likelihood`, `kl`.

    `parts`: the batch is computed in so many, as `over_examples` does.
    """

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:

        def of_example(key: Key, x: Any) -> Terms:
            return terms(vae, params, key, x, num_samples=num_samples)

        pairs = over_examples(of_example, key, batch["x"], parts=parts)
        kl = pairs.kl.reshape(len(pairs.kl), -1)
        rate, log_likelihood = jnp.mean(jnp.sum(kl, axis=1)), jnp.mean(pairs.log_likelihood)
        metrics = {"bound": log_likelihood - rate, "log_likelihood": log_likelihood, "kl": rate}
        if "log_multiplier" in params:
            metrics["beta"] = jnp.exp(-params["log_multiplier"])
        return weigh(params, kl, -pairs.log_likelihood, step), metrics

    return loss
