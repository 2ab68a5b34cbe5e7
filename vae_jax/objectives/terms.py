"""The ELBO in two terms, for objectives that need the KL by itself.

A weight on the KL, or its closed form, cannot be written as a function of `log_w`. `elbo_terms` gives the two
terms and the caller writes the objective: `t.log_likelihood - beta * t.kl.sum()`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from vae_jax.core.checks import check_count
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import check_reparameterised, sample_and_log_prob
from vae_jax.distributions.divergences import kl_terms, sample_and_layer_kls
from vae_jax.distributions.hierarchy import Chain
from vae_jax.models.vae import VAE, over_samples, posterior_and_prior


class Terms(NamedTuple):
    """The two terms of the ELBO of one example, in nats: `elbo = log_likelihood - kl.sum()`.

    `log_likelihood`: `[]`, E_q log p(x | z). `kl`: KL(q(z|x) ‖ p(z)), `[d]` where it is a sum over dimensions,
    `[layers]` of stochastic layers that q and p draw in the same order, the lowest first, and else `[]`.
    """

    log_likelihood: Array
    kl: Array


def elbo_terms(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 1) -> Terms:
    """Estimator B: the likelihood by `num_samples` reparameterised draws, the KL in closed form.

    Of one example, in nats: `log_likelihood` is a scalar, `kl` as in `Terms`, and `log_likelihood − kl.sum()` is the
    ELBO. It has the same expectation as estimator A, `total(elbo)`, and a smaller variance while q is far from the
    posterior; where q is the posterior, A has no variance. Of several stochastic layers, the KL of each has a closed
    form given the draw of those above it, where q and p draw them in the same order. TypeError (naming the pair) where
    the KL has no closed form, or where samples of the posterior carry no gradient.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114; of layers: arXiv 1606.04934.
    """
    check_count("elbo_terms", "num_samples", num_samples)
    posterior, prior = posterior_and_prior("elbo_terms", vae, params, key, x)
    check_reparameterised("elbo_terms", posterior)

    if _in_layers(posterior, prior):

        def draw(key: Key) -> Terms:
            z, kl = sample_and_layer_kls(posterior, prior, key)
            return Terms(vae.decode(params, z).log_prob(x), kl)

        return _mean_terms(draw, key, num_samples)

    def log_likelihood(key: Key) -> Array:
        return vae.decode(params, posterior.sample(key)).log_prob(x)

    return Terms(
        log_likelihood=jnp.mean(over_samples(log_likelihood, key, num_samples)),
        kl=kl_terms(posterior, prior),
    )


def sampled_terms(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 1) -> Terms:
    """The two terms with a Monte Carlo KL, the mean of `log q(z | x) − log p(z)` over the same draws.

    It serves any pair of posterior and prior, if samples of the posterior carry a gradient (TypeError): flows and
    mixture priors too. `kl` is `[]`, or `[layers]`. Its expectation is the KL; a single value may be negative.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114 (estimator A, its two terms kept apart).
    """
    check_count("sampled_terms", "num_samples", num_samples)
    posterior, prior = posterior_and_prior("sampled_terms", vae, params, key, x)
    check_reparameterised("sampled_terms", posterior)

    def draw(key: Key) -> Terms:
        if _in_layers(posterior, prior):
            z, log_q = posterior.sample_and_layer_log_probs(key)
            log_p = prior.layer_log_probs(z)
        else:
            z, log_q = sample_and_log_prob(posterior, key)
            log_p = prior.log_prob(z)
        return Terms(vae.decode(params, z).log_prob(x), log_q - log_p)

    return _mean_terms(draw, key, num_samples)


def _in_layers(posterior: Any, prior: Any) -> bool:
    """Whether the KL has a part for each layer that is a KL itself: given the same layers above it."""
    return isinstance(posterior, Chain) and isinstance(prior, Chain) and posterior.places == prior.places


def _mean_terms(draw: Callable[[Key], Terms], key: Key, num_samples: int) -> Terms:
    return Terms(*(jnp.mean(part, axis=0) for part in over_samples(draw, key, num_samples)))
