"""Bounds on log p(x): functions of the vector of log-weights, `(k,) -> ()`, in nats, to be maximised.

    log_w[i] = log p(x, z_i) − log q(z_i | x),    z_i ~ q(z | x)

Nothing else about the model enters, so any bound goes with any model and any gradient estimator. A bound of
your own is a function of `log_w`. If its path weights (`path_weights`) have a closed form, attach that with
`has_path_weights`; otherwise they are found by automatic differentiation.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_count, check_log_weights
from vae_jax.core.types import Array

Bound = Callable[[Array], Array]


def has_path_weights(weights: Callable[[Array], Array]) -> Callable[[Bound], Bound]:
    """Decorator: attach to a bound the closed form `log_w [k] -> g − diag H [k]` of its path weights."""

    def attach(bound: Bound) -> Bound:
        # With the bound, since a function that wraps it may take its attributes over.
        bound.__dict__["path_weights"] = bound, weights
        return bound

    return attach


def path_weights(bound: Bound, log_w: Array) -> Array:
    """`g_i − H_ii` `[k]`: how DReG weighs the path derivative of sample i (`g = ∇bound`, `H = ∇²bound`).

    1/k for `elbo`, w̃² for `iwae`, αw̃ + (1−α)w̃² for `renyi(alpha)`, where w̃ are the normalised weights.
    For any other bound they cost k Hessian-vector products of length k, one at a time.

    Source: Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives, arXiv 1810.04152
    (the form for a general bound follows by the same argument).
    """
    attached: Any = getattr(bound, "path_weights", None)
    if attached is not None and attached[0] is bound:
        return attached[1](log_w)
    gradient = jax.grad(bound)

    def curvature(i: Array) -> Array:
        direction = jnp.zeros_like(log_w).at[i].set(1.0)
        return jax.jvp(gradient, (log_w,), (direction,))[1][i]

    return gradient(log_w) - jax.lax.map(curvature, jnp.arange(log_w.shape[0]))


@has_path_weights(lambda log_w: jnp.full_like(log_w, 1.0 / log_w.shape[0]))
def elbo(log_w: Array) -> Array:
    """The evidence lower bound, `(1/k) Σ log_w[i]`; with k = 1 the plain one-sample estimate.

    `log_w`: `[k]`. Returns a scalar in nats, `E[elbo] <= log p(x)`. ValueError unless `log_w` is a vector.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114 (estimator A).
    """
    check_log_weights("elbo", log_w)
    return jnp.mean(log_w)


@has_path_weights(lambda log_w: jnp.square(jax.nn.softmax(log_w)))
def iwae(log_w: Array) -> Array:
    """The importance-weighted bound, `log (1/k) Σ exp log_w[i]`; non-decreasing in k in expectation.

    `log_w`: `[k]`. Returns a scalar in nats, `E[elbo] <= E[iwae] <= log p(x)`. ValueError unless `log_w` is
    a vector.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    check_log_weights("iwae", log_w)
    return jax.nn.logsumexp(log_w) - math.log(log_w.shape[0])


def renyi(alpha: float | Array) -> Bound:
    """The variational Rényi bound, `1/(1−α) · log (1/k) Σ exp((1−α) log_w[i])`.

    α = 0 is `iwae`, α → 1 is `elbo`; for 0 <= α the expectation is at most log p(x), and for α < 0 its limit
    in k is an upper bound. `alpha` may be traced (a sweep); values at and near 1 are exact. The result maps
    `log_w` `[k]` to a scalar in nats. ValueError if `alpha` is a number and not finite.

    Source: Rényi Divergence Variational Inference, arXiv 1602.02311.
    """
    if not isinstance(alpha, jax.Array) and not math.isfinite(alpha):
        raise ValueError(f"renyi: alpha must be finite, got {alpha}. For alpha -> 1 use elbo, for 0 iwae.")

    def weights(log_w: Array) -> Array:
        normalised = jax.nn.softmax((1.0 - alpha) * log_w)
        return alpha * normalised + (1.0 - alpha) * jnp.square(normalised)

    @has_path_weights(weights)
    def bound(log_w: Array) -> Array:
        check_log_weights("renyi(alpha)", log_w)
        log_w = jnp.asarray(log_w, jnp.result_type(log_w, float))
        order = jnp.asarray(1.0 - alpha, log_w.dtype)
        # Centred on the mean, for α near 1; on the largest where a weight is zero and the mean is −inf.
        average = mean = jnp.mean(log_w)
        largest = jnp.max(log_w)
        mean = jnp.where(jnp.isfinite(mean), mean, jnp.where(jnp.isneginf(largest), 0.0, largest))
        centred = log_w - mean
        # Near α = 1 the logarithm is of 1 + O(order²) and must not round to log 1 before the division;
        # far from it exp overflows, and logsumexp is the stable form. Each branch gets safe arguments.
        near = jnp.abs(order) * jnp.max(jnp.abs(centred)) < 0.5
        safe_order = jnp.where(order == 0.0, 1.0, order)
        excess = jnp.mean(jnp.expm1(jnp.where(near, order * centred, 0.0)))
        small = jnp.where(order == 0.0, 0.0, jnp.log1p(excess) / safe_order)
        large = (jax.nn.logsumexp(safe_order * centred) - math.log(log_w.shape[0])) / safe_order
        # At α = 1 the value is the average, and its derivative by α is half the variance, taken away.
        variance = jnp.mean(jnp.square(jnp.where(jnp.isfinite(centred), centred, 0.0)))
        half = 0.5 * jnp.minimum(variance, jnp.finfo(log_w.dtype).max)
        return jnp.where(order == 0.0, average + order * half, mean + jnp.where(near, small, large))

    return bound


def miwae(num_groups: int) -> Bound:
    """MIWAE: the mean over M = `num_groups` groups of the IWAE bound of K = k/M samples each.

    Maps `log_w` `[M K]` to a scalar in nats. M = 1 is `iwae`, K = 1 is `elbo`; the expectation is that of `iwae`
    with K samples. Its gradient for the encoder has a higher signal-to-noise ratio than that of `iwae`
    over all M K. ValueError if M does not divide the number of samples.

    Source: Tighter Variational Bounds are Not Necessarily Better, arXiv 1802.04537.
    """
    check_count("miwae", "num_groups", num_groups)

    def groups(log_w: Array) -> Array:
        check_log_weights("miwae(num_groups)", log_w)
        if log_w.shape[0] % num_groups:
            raise ValueError(
                f"miwae: {num_groups} groups need a multiple of {num_groups} samples, got {log_w.shape[0]}."
            )
        return log_w.reshape(num_groups, -1)

    @has_path_weights(lambda log_w: jnp.ravel(jnp.square(jax.nn.softmax(groups(log_w), axis=1))) / num_groups)
    def bound(log_w: Array) -> Array:
        grouped = groups(log_w)
        return jnp.mean(jax.nn.logsumexp(grouped, axis=1)) - math.log(grouped.shape[1])

    return bound


def ciwae(beta: float | Array) -> Bound:
    """CIWAE: `β elbo + (1 − β) iwae` of the same log-weights, 0 <= β <= 1 (may be traced).

    Maps `log_w` `[k]` to a scalar in nats. ValueError if `beta` is a number outside 0..1.

    Source: Tighter Variational Bounds are Not Necessarily Better, arXiv 1802.04537.
    """
    if not isinstance(beta, jax.Array) and not 0.0 <= beta <= 1.0:
        raise ValueError(f"ciwae: beta must be between 0 (iwae) and 1 (elbo), got {beta}.")

    @has_path_weights(lambda log_w: beta / log_w.shape[0] + (1.0 - beta) * jnp.square(jax.nn.softmax(log_w)))
    def bound(log_w: Array) -> Array:
        check_log_weights("ciwae(beta)", log_w)
        by_elbo, by_iwae = elbo(log_w), iwae(log_w)
        # Zero times the −inf of the one that does not count would be NaN.
        by_elbo = jnp.where((beta == 0.0) & jnp.isneginf(by_elbo), 0.0, by_elbo)
        by_iwae = jnp.where((beta == 1.0) & jnp.isneginf(by_iwae), 0.0, by_iwae)
        return beta * by_elbo + (1.0 - beta) * by_iwae

    return bound
