"""Which latent dimensions a model uses."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_count, check_examples
from vae_jax.core.trees import first_example
from vae_jax.core.types import Array, Key, Params
from vae_jax.distributions.divergences import has_closed_form, kl_terms
from vae_jax.distributions.hierarchy import Chain
from vae_jax.evaluate.batched import in_batches, join, per_model, vectorised
from vae_jax.models.vae import VAE, Autoencoder, over_samples


def active_units(means: Array, *, threshold: float = 0.01) -> Array:
    """`[d]` booleans: whether the posterior mean of a dimension varies over the data by more than `threshold`.

    `means`: E_q[z | x] of n examples, `[n, d]`. Needs n >= 2 (ValueError).

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    if jnp.ndim(means) != 2 or means.shape[0] < 2:
        raise ValueError(f"active_units: means must have shape (n, d) with n >= 2, got {jnp.shape(means)}.")
    return jnp.var(means, axis=0, ddof=1) > threshold


def latent_means(
    vae: VAE | Autoencoder, params: Params, key: Key, x: Any, *, num_samples: int = 1000, batch_size: int = 100
) -> Any:
    """E_q[z | x] of every example of `x` `[n, …]`, in host memory: `[n, d]`, or a tuple of them for several layers.

    It is the posterior's own `mean` where there is one, else the mean of `num_samples` draws. By default their noise
    has a thousandth of the posterior variance, which is below the threshold of `active_units`. Of layers along one path
    it is the mean of each given the means above it (of a flow the image of its base's mean): draws averaged there would
    be a code that no decoder has seen.
    """
    check_count("latent_means", "num_samples", num_samples)
    return join(in_batches(_mean_codes(vae, num_samples), x, params, key, batch_size=batch_size))


@per_model
def _mean_codes(vae: VAE | Autoencoder, num_samples: int) -> Callable[..., Any]:
    def of_example(params: Params, key: Key, i: Array, x: Any) -> Any:
        return mean_code(vae.encode(params, x), jax.random.fold_in(key, i), num_samples=num_samples)

    return vectorised(of_example, shared=2)


def mean_code(posterior: Any, key: Key, *, num_samples: int = 1000) -> Any:
    """E_q[z | x] of one posterior, as `latent_means` says."""
    if hasattr(posterior, "mean"):
        return posterior.mean
    if isinstance(posterior, Chain) and posterior.steps is not None:
        return posterior.means
    draws = posterior.sample(key, (num_samples,))
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), draws)


def kl_per_dimension(vae: VAE, params: Params, x: Any) -> np.ndarray | None:
    """`[d]`: KL(q(z_j | x) ‖ p(z_j)) averaged over the examples of `x` `[n, …]`, nats.

    None where z is not a vector, the KL is not a sum over its dimensions, or it has no closed form.
    """
    check_examples("kl_per_dimension", x)
    q, p = jax.eval_shape(vae.encode, params, first_example(x)), jax.eval_shape(vae.prior, params)
    if not has_closed_form(type(q), type(p)):
        return None
    terms = join(in_batches(_kl_terms(vae), x, params))
    return terms.mean(axis=0) if terms.ndim == 2 else None


@per_model
def _kl_terms(vae: VAE) -> Callable[..., Array]:
    def terms(params: Params, i: Array, x: Any) -> Array:
        del i
        return kl_terms(vae.encode(params, x), vae.prior(params))

    return vectorised(terms, shared=1)


def kl_per_layer(vae: VAE, params: Params, key: Key, x: Any, *, num_samples: int = 10) -> np.ndarray:
    """`[layers]`: `E log q(z_i | …) − log p(z_i | …)` of each layer, over the examples of `x` `[n, …]`, nats.

    Given those drawn before it, and the lowest first, by `num_samples` draws for each example. The sum is the rate. For
    posteriors and priors that draw their layers in the same order.
    """
    return join(in_batches(_layer_kls(vae, num_samples), x, params, key)).mean(axis=0)


@per_model
def _layer_kls(vae: VAE, num_samples: int) -> Callable[..., Array]:
    def terms(params: Params, key: Key, i: Array, x: Any) -> Array:
        posterior, prior = vae.encode(params, x), vae.prior(params)

        # Not the terms of a bound: a layer of choices has a KL too, though its draws carry no gradient.
        def draw(key: Key) -> Array:
            z, log_q = posterior.sample_and_layer_log_probs(key)
            return log_q - prior.layer_log_probs(z)

        return jnp.mean(over_samples(draw, jax.random.fold_in(key, i), num_samples), axis=0)

    return vectorised(terms, shared=2)
