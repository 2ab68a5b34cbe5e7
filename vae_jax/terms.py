"""The bound in two terms, for objectives that need the KL by itself, and sums over a dataset.

A weight on the KL, or its closed form, cannot be written as a function of `log_w`. `elbo_terms` gives the two
terms and the caller writes the objective: `t.log_likelihood - beta * t.kl.sum()`.
"""

from typing import NamedTuple

import jax.numpy as jnp

from vae_jax.checks import check_count
from vae_jax.distributions import Array, Key, PyTree, check_reparameterised, freeze, sample_and_log_prob
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


def sampled_terms(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 1) -> Terms:
    """The same two terms with a Monte Carlo KL, `log q(z | x) − log p(z)` of the same draws: `kl` is `[]`.

    For any pair of posterior and prior, flows and mixtures too. Its expectation is the KL; a single value may be
    negative.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114 (estimator A, its terms apart).
    """
    check_count("sampled_terms", "num_samples", num_samples)
    posterior, prior = posterior_and_prior("sampled_terms", vae, params, key, x)
    check_reparameterised("sampled_terms", posterior)

    def one(key: Key) -> Terms:
        z, log_q = sample_and_log_prob(posterior, key)
        return Terms(vae.decode(params, z).log_prob(x), log_q - prior.log_prob(z))

    return Terms(*(jnp.mean(part) for part in over_samples(one, key, num_samples)))


def free_bits(kl: Array, *, least: float | Array) -> Array:
    """`Σ_g max(least, mean_B kl[:, g])`: no group of dimensions is pressed below `least` nats on average.

    `kl`: `[B, groups]`, nats (`Terms.kl` under `vmap`; a group is a dimension there, or a sum of some). The maximum is
    with the mean over the batch, so this is a term of a batch, not of an example.

    Source: Improved Variational Inference with Inverse Autoregressive Flow, arXiv 1606.04934, eq. 15.
    """
    if jnp.ndim(kl) != 2:
        raise ValueError(
            f"free_bits: kl must have shape (B, groups), got {jnp.shape(kl)}. For one group: kl.sum(1, keepdims=True)."
        )
    return jnp.sum(jnp.maximum(jnp.mean(kl, axis=0), least))


def capacity(kl: Array, *, target: float | Array) -> Array:
    """`|mean_B kl − target|`: the rate is held at `target` nats, which rises during training.

    `kl`: `[B]`, nats. Source: Understanding disentangling in beta-VAE, arXiv 1804.03599.
    """
    if jnp.ndim(kl) != 1:
        raise ValueError(f"capacity: kl must have shape (B,), got {jnp.shape(kl)}.")
    return jnp.abs(jnp.mean(kl) - target)


def geco(kl: Array, distortion: Array, log_multiplier: Array, *, most: float | Array) -> Array:
    """The least rate whose distortion is at most `most`: a loss in which the weight of the distortion learns itself.

    `kl`, `distortion` = −log p(x | z): `[B]`, nats. `log_multiplier` is a parameter of its own: the gradient of this
    loss raises it while the mean distortion is above `most` and lowers it below, and the model's parameters follow
    `mean kl + exp(log_multiplier) · (mean distortion − most)`. At the solution exp(−log_multiplier) is the β of a
    β-VAE that has this distortion. First derivatives only.

    Source: Taming VAEs, arXiv 1810.00597.
    """
    if jnp.ndim(kl) != 1 or jnp.shape(kl) != jnp.shape(distortion):
        raise ValueError(f"geco: kl and distortion must have shape (B,), got {jnp.shape(kl)}, {jnp.shape(distortion)}.")
    excess = jnp.mean(distortion) - most
    return jnp.mean(kl) + freeze(jnp.exp(log_multiplier)) * excess - _slope_only(log_multiplier, excess)


def _slope_only(value: Array, slope: Array) -> Array:
    """Zero, with the gradient `slope` in `value`."""
    return freeze(slope) * (value - freeze(value))


def full_data_bound(bounds: Array, *, dataset_size: int) -> Array:
    """`N/M Σ_m bounds[m]`: from a minibatch's bounds `[M]`, an unbiased estimate of the sum over N examples.

    A scalar in nats. Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, eq. 8.
    """
    if jnp.ndim(bounds) != 1:
        raise ValueError(f"full_data_bound: bounds must have shape (M,), got {jnp.shape(bounds)}.")
    check_count("full_data_bound", "dataset_size", dataset_size)
    return dataset_size * jnp.mean(bounds)
