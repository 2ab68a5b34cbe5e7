"""The mean ELBO taken apart: into the costs of a code for the data, and into divergences.

With the data distribution q(x), `1/N` on each of N examples, and q(x, z) = q(x) q(z | x), q(z) = 1/N Σ_n q(z | x_n):

    mean ELBO  =  −distortion − rate                       distortion = −E log p(x | z),  rate = E KL(q(z|x) ‖ p(z))
    rate       =  index code + marginal KL                 I_q(n; z)  +  KL(q(z) ‖ p(z))
    marginal KL = total correlation + dimension-wise KL    KL(q(z) ‖ Π q(z_j))  +  Σ_j KL(q(z_j) ‖ p(z_j))

and, where x is discrete and the examples are distinct, so that q(x) has the entropy log N:

    mean ELBO + log N  =  −KL(q(x, z) ‖ p(x, z))
                       =  −KL(q(x) ‖ p(x)) − E KL(q(z | x) ‖ p(z | x))
                       =  −KL(q(z) ‖ p(z)) − E KL(q(x | z) ‖ p(x | z))

Sources: ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman and Johnson, 2016);
Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942; InfoVAE, arXiv 1706.02262.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vae_jax.core.checks import check_count, check_examples, check_key
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import DiagNormal, sample_and_log_prob
from vae_jax.evaluate.batched import examples_at_once, in_batches, join, per_model, vectorised
from vae_jax.evaluate.statistics import standard_error
from vae_jax.models.vae import VAE, over_samples, posterior_and_prior
from vae_jax.objectives.aggregate import check_factorised, dimension_log_probs


class Coding(NamedTuple):
    """Means over N examples, in nats; `rate = index_code + marginal_kl`.

    `rate`, `distortion`: `−elbo = distortion + rate`. `index_code`: the mutual information I_q(n; z) between an
    example's number and its code, at most log N. `marginal_kl`: KL(q(z) ‖ p(z)).
    `standard_errors` `[4]`: of these four, in this order, from the spread over examples, noise of draws included.
    """

    rate: Array
    distortion: Array
    index_code: Array
    marginal_kl: Array
    standard_errors: Array


class MarginalKL(NamedTuple):
    """KL(q(z) ‖ p(z)) of a factorised posterior and prior: `total_correlation + dimension_wise.sum()`, nats."""

    total_correlation: Array
    dimension_wise: Array


class JointKL(NamedTuple):
    """KL(q(x, z) ‖ p(x, z)) and its two splits, nats: `joint = data + posterior = latent + conditional`.

    `data`: KL(q(x) ‖ p(x)). `posterior`: E KL(q(z|x) ‖ p(z|x)). `latent`: KL(q(z) ‖ p(z)). `conditional`:
    E KL(q(x|z) ‖ p(x|z)).
    """

    joint: Array
    data: Array
    posterior: Array
    latent: Array
    conditional: Array


def rate_distortion(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 100) -> tuple[Array, Array]:
    """`(rate, distortion)` of one example: `E log q(z|x) − log p(z)` and `−E log p(x|z)`, nats, by `num_samples` draws.

    For any posterior and prior, also without a KL in closed form. `ELBO = −rate − distortion`. One example (else
    ValueError); `vmap` for many.

    Source: Fixing a Broken ELBO, arXiv 1711.00464.
    """
    check_count("rate_distortion", "num_samples", num_samples)
    posterior, prior = posterior_and_prior("rate_distortion", vae, params, key, x)

    def draw(key: Key) -> tuple[Array, Array]:
        z, log_q = sample_and_log_prob(posterior, key)
        return log_q - prior.log_prob(z), -vae.decode(params, z).log_prob(x)

    rate, distortion = over_samples(draw, key, num_samples)
    return jnp.mean(rate), jnp.mean(distortion)


def rates_distortions(
    vae: VAE, params: Params, key: Key, x: Any, *, num_samples: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """`rate_distortion` of every example of `x` `[n, …]`, two arrays `[n]`; example i has the key `fold_in(key, i)`."""
    batch_size = examples_at_once(x, num_samples)
    return join(in_batches(_rates_distortions(vae, num_samples), x, params, key, batch_size=batch_size))


@per_model
def _rates_distortions(vae: VAE, num_samples: int) -> Callable[..., tuple[Array, Array]]:
    def terms(params: Params, key: Key, i: Array, x: Any) -> tuple[Array, Array]:
        return rate_distortion(vae, params, jax.random.fold_in(key, i), x, num_samples=num_samples)

    return vectorised(terms, shared=2)


def coding(vae: VAE, params: Params, key: Key, x: Any, *, num_samples: int = 1, batch_size: int = 100) -> Coding:
    """Rate, distortion and the split of the rate, over the N examples of `x` `[N, …]`, with `num_samples` draws each.

    q(z) is the exact mixture of the N posteriors, so the time grows with N²; memory is set by `batch_size`. Posterior
    and prior may be any distributions. The N posteriors are held at once, and in a hierarchy each of them holds a copy
    of its network. ValueError for no examples.

    Source: ELBO surgery: yet another way to carve up the variational evidence lower bound (Hoffman and Johnson, 2016).
    """
    check_key("coding", key)
    check_count("coding", "num_samples", num_samples)
    check_count("coding", "batch_size", batch_size)
    size = check_examples("coding", x)
    posteriors = lax.map(lambda x: vae.encode(params, x), x, batch_size=min(batch_size, size))
    prior = vae.prior(params)

    def terms_of(example: tuple[Array, Any]) -> Array:
        index, x = example
        posterior = jax.tree.map(lambda leaf: leaf[index], posteriors)

        def draw(key: Key) -> Array:
            z, log_q = sample_and_log_prob(posterior, key)
            log_mixture = jax.nn.logsumexp(jax.vmap(lambda q: q.log_prob(z))(posteriors)) - math.log(size)
            log_prior = prior.log_prob(z)
            distortion = -vae.decode(params, z).log_prob(x)
            return jnp.stack([log_q - log_prior, distortion, log_q - log_mixture, log_mixture - log_prior])

        keys = jax.random.split(jax.random.fold_in(key, index), num_samples)
        return jnp.mean(lax.map(draw, keys), axis=0)

    terms = lax.map(terms_of, (jnp.arange(size), x), batch_size=min(batch_size, size))
    means = jnp.mean(terms, axis=0)
    return Coding(*means, standard_errors=standard_error(terms))


def marginal_kl(posteriors: Any, prior: Any, key: Key, *, num_samples: int = 1, batch_size: int = 10) -> MarginalKL:
    """Total correlation and dimension-wise KL `[d]`, nats, of the mixture of N posteriors, `num_samples` draws each.

    `posteriors`: a stack of `DiagNormal` (leaves `[N, d]`), as `encode_dataset` gives; `prior`: a `DiagNormal` of
    `[d]`. TypeError for other families. The time grows with N²; memory is set by `batch_size`.

    Source: Isolating Sources of Disentanglement in VAEs, arXiv 1802.04942.
    """
    check_key("marginal_kl", key)
    check_count("marginal_kl", "num_samples", num_samples)
    check_count("marginal_kl", "batch_size", batch_size)
    check_factorised("marginal_kl", posteriors, prior)
    size = check_examples("marginal_kl", posteriors)

    def terms_of(example: tuple[Array, DiagNormal]) -> tuple[Array, Array]:
        index, posterior = example

        def draw(key: Key) -> tuple[Array, Array]:
            z = posterior.sample(key)
            log_q = jax.vmap(lambda q: dimension_log_probs(q, z))(posteriors)
            marginals = jax.nn.logsumexp(log_q, axis=0) - math.log(size)
            joint = jax.nn.logsumexp(jnp.sum(log_q, axis=1)) - math.log(size)
            return joint - jnp.sum(marginals), marginals - dimension_log_probs(prior, z)

        drawn = lax.map(draw, jax.random.split(jax.random.fold_in(key, index), num_samples))
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), drawn)

    terms = lax.map(terms_of, (jnp.arange(size), posteriors), batch_size=min(batch_size, size))
    return MarginalKL(*(jnp.mean(part, axis=0) for part in terms))


def joint_kl(found: Coding, log_marginal: Array, *, num_examples: int) -> JointKL:
    """KL(q(x, z) ‖ p(x, z)) and its two splits, nats, from a `Coding` and the mean log p(x) of the same N examples.

    For discrete x and distinct examples; otherwise only differences between models mean anything.

    Source: InfoVAE: Balancing Learning and Inference in Variational Autoencoders, arXiv 1706.02262.
    """
    check_count("joint_kl", "num_examples", num_examples)
    entropy = math.log(num_examples)
    elbo = -found.distortion - found.rate
    return JointKL(
        joint=-elbo - entropy,
        data=-log_marginal - entropy,
        posterior=log_marginal - elbo,
        latent=found.marginal_kl,
        conditional=found.index_code + found.distortion - entropy,
    )


def bits_per_dimension(log_marginal: float | Array, shape: tuple[int, ...]) -> float | Array:
    """`−log p(x) / (D log 2)`, the bits that a code for discrete x of `shape` needs for each of its D elements.

    `log_marginal`: log p(x), nats.
    """
    return -log_marginal / (math.prod(shape) * math.log(2.0))
