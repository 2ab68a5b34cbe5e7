"""Losses that need all codes of a batch: each example is encoded and decoded once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.examples import over_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.distributions import PointMass, sample_and_log_prob
from vae_jax.distributions.divergences import has_closed_form, kl_terms
from vae_jax.models.vae import VAE
from vae_jax.systems.system import Batch, Loss, Metrics

# Folded into the key of a step, to keep draws of the prior apart from the keys of the examples.
_PRIOR_STREAM = 0x7072696F


class Coded(NamedTuple):
    """A batch with one draw of z for each example, nats.

    `posterior`: the B distributions q(z | x), stacked. `codes`: `[B, d]`. `distortion`: −log p(x | z), `[B]`. `kl`:
    KL(q(z | x) ‖ p(z)), `[B, groups]`, in closed form where there is one, else of the draw; a `PointMass` has 0 groups.
    """

    posterior: Any
    codes: Array
    distortion: Array
    kl: Array

    @property
    def rate(self) -> Array:
        """KL(q(z | x) ‖ p(z)) of every example, `[B]`, nats."""
        return jnp.sum(self.kl, axis=1)

    def metrics(self) -> Metrics:
        """Metrics: `bound` = −distortion − rate, `log_likelihood` and `kl`, or `distance` where there is no rate."""
        distortion, rate = jnp.mean(self.distortion), jnp.mean(self.rate)
        if not self.kl.shape[1]:
            return {"distance": distortion}
        return {"bound": -distortion - rate, "log_likelihood": -distortion, "kl": rate}


def coded(vae: VAE, params: Params, key: Key, x: Any, *, parts: int = 1) -> Coded:
    """Encode, draw and decode a batch `[B, …]`; from the same key `elbo_terms` makes the same draws.

    `parts`: the batch is computed in so many, as `over_examples` does, and is whole again in the result.
    """
    prior = vae.prior(params)

    def code(key: Key, x: Any) -> tuple[Any, Array, Array, Array]:
        posterior = vae.encode(params, x)
        draw_key = jax.random.fold_in(key, 0)
        if isinstance(posterior, PointMass):
            z, kl = posterior.sample(draw_key), jnp.zeros(0)
        elif has_closed_form(type(posterior), type(prior)):
            z, kl = posterior.sample(draw_key), kl_terms(posterior, prior)
        else:
            z, log_q = sample_and_log_prob(posterior, draw_key)
            kl = log_q - prior.log_prob(z)
        return posterior, jnp.ravel(z), -vae.decode(params, z).log_prob(x), jnp.ravel(kl)

    return Coded(*over_examples(code, key, x, parts=parts))


def coded_loss(vae: VAE, objective: Callable[[Params, Key, Coded], tuple[Array, Metrics]], *, parts: int = 1) -> Loss:
    """The loss `objective(params, key, batch of codes)`, where the batch is coded in `parts`."""

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step
        return objective(params, key, coded(vae, params, key, batch["x"], parts=parts))

    return loss


def prior_codes(vae: VAE, params: Params, key: Key, count: int) -> Array:
    """`[count, d]`: draws of the prior, independent of the draws of `coded` from the same key."""
    stream = jax.random.fold_in(key, np.uint32(_PRIOR_STREAM))
    return vae.prior(params).sample(stream, (count,)).reshape(count, -1)
