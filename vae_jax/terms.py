"""The bound in two terms, for objectives that need the KL by itself, and sums over a dataset.

A weight on the KL, or its closed form, cannot be written as a function of `log_w`. `elbo_terms` gives the two
terms and the caller writes the objective: `t.log_likelihood - beta * t.kl.sum()`.
"""

from typing import NamedTuple

import jax.numpy as jnp

from vae_jax.checks import check_count
from vae_jax.distributions import Array, Key, PyTree, check_reparameterised
from vae_jax.divergences import kl_terms
from vae_jax.model import VAE, Params, over_samples, posterior_and_prior


class Terms(NamedTuple):
    """The two terms of the ELBO of one example, in nats: `elbo = log_likelihood - kl.sum()`.

    `log_likelihood`: `[]`, E_q log p(x | z). `kl`: KL(q(z|x) ‖ p(z)), `[d]` where it is a sum over
    dimensions, `[]` where it is not.
    """

    log_likelihood: Array
    kl: Array


def elbo_terms(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 1) -> Terms:
    """Estimator B: the likelihood by `num_samples` reparameterised draws, the KL in closed form.

    Against estimator A (`total(elbo)`) it has the same expectation, and a smaller variance while q is far
    from the posterior; at the posterior A has none. TypeError (naming the pair) where posterior and prior
    have no closed form.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114.
    """
    check_count("elbo_terms", "num_samples", num_samples)
    posterior, prior = posterior_and_prior("elbo_terms", vae, params, key, x)
    check_reparameterised("elbo_terms", posterior)

    def log_likelihood(key: Key) -> Array:
        return vae.decode(params, posterior.sample(key)).log_prob(x)

    return Terms(
        log_likelihood=jnp.mean(over_samples(log_likelihood, key, num_samples)),
        kl=kl_terms(posterior, prior),
    )


def full_data_bound(bounds: Array, *, dataset_size: int) -> Array:
    """`N/M Σ_m bounds[m]`: from a minibatch's bounds `[M]`, an unbiased estimate of the sum over N examples.

    A scalar in nats. Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, eq. 8.
    """
    if jnp.ndim(bounds) != 1:
        raise ValueError(f"full_data_bound: bounds must have shape (M,), got {jnp.shape(bounds)}.")
    check_count("full_data_bound", "dataset_size", dataset_size)
    return dataset_size * jnp.mean(bounds)
