"""Importance-weighted estimates of log p(x), in memory that a chunk size sets."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count
from vae_jax.core.mesh import SAMPLES, along
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.evaluate.pareto import pareto_k, tail_size
from vae_jax.models.vae import VAE, one_log_weight


class LogMarginal(NamedTuple):
    """An estimate of log p(x) for one example, in nats.

    `value`: `log (1/k) Σ w_i`, in expectation a lower bound that rises with k.
    `standard_error`: of `value`, by the delta method, `sqrt(Var(w) / k) / mean(w)`; inf for k = 1.
    `ess`: effective sample size of the weights, between 1 and k.
    `elbo`: mean of the log-weights of the same draws, an unbiased estimate of the ELBO.
    `pareto_k`: k̂ of the weights (`vae_jax.evaluate.pareto`): above 0.7, k was not enough and the standard
    error is too small; −inf where all weights are equal, as those of an exact posterior; NaN for fewer than 25 samples,
    or where the largest are ties.
    """

    value: Array
    standard_error: Array
    ess: Array
    elbo: Array
    pareto_k: Array


class _Total(NamedTuple):
    """A sum, and what was rounded up in it: without that a sum of 10⁶ terms drifts."""

    value: Array
    excess: Array


def _plus(total: _Total, more: Array) -> _Total:
    """Kahan's summation."""
    more = more - total.excess
    value = total.value + more
    # Infinite sums stay what they are.
    return _Total(value, jnp.where(jnp.isfinite(value), (value - total.value) - more, 0.0))


class _Sums(NamedTuple):
    """Over the weights so far: Σ w / e^shift, Σ (w / e^shift)² and Σ log w, and the largest of log w.

    `shift` is the largest of all, kept finite.
    """

    shift: Array
    weights: _Total
    squares: _Total
    logs: _Total
    largest: Array


def _log(total: Array) -> Array:
    """With a gradient of 0 at 0."""
    return jnp.where(total == 0.0, -jnp.inf, jnp.log(jnp.where(total == 0.0, 1.0, total)))


def effective_samples(log_sum: Array, log_sum_squares: Array, num_samples: int) -> tuple[Array, Array]:
    """`((Σw)² / Σw², standard error of log mean w)` of k weights, from log Σ w and log Σ w².

    The first lies between 1 and k; the second is by the delta method, and inf for k = 1.
    """
    k = float(num_samples)
    ess = jnp.clip(jnp.exp(2.0 * log_sum - log_sum_squares), 1.0, k)
    relative_variance = (k / ess - 1.0) / (k - 1.0) if num_samples > 1 else jnp.inf
    return ess, jnp.sqrt(jnp.asarray(relative_variance))


def log_marginal(
    vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int, chunk_size: int = 100
) -> LogMarginal:
    """Importance-sampled log p(x) of one example with k = `num_samples` draws from q(z | x), nats.

    Encodes once and scans over chunks of `chunk_size` samples with running sums, so memory does not grow
    with k; a remainder is handled exactly. Sample i has its own key, so the result does not depend on the
    chunk (up to rounding; but keys of `rbg` draw otherwise under `vmap`). ValueError for counts below 1 or a batch
    instead of one example.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    check_count("log_marginal", "num_samples", num_samples)
    check_count("log_marginal", "chunk_size", chunk_size)
    chunk_size = min(chunk_size, num_samples)
    tail = tail_size(num_samples)
    log_weight = one_log_weight("log_marginal", vae, params, key, x)

    def one(i: Array) -> Array:
        return log_weight(jax.random.fold_in(key, i))

    def add(sums: _Sums, log_w: Array) -> _Sums:
        # Finite, so that weights of 0 and infinite ones have differences too.
        shift = jnp.minimum(lax.stop_gradient(jnp.maximum(sums.shift, jnp.max(log_w))), limits.max)
        smaller, relative = jnp.exp(sums.shift - shift), jnp.exp(log_w - shift)
        return _Sums(
            shift,
            _plus(jax.tree.map(lambda sum: smaller * sum, sums.weights), jnp.sum(relative)),
            _plus(jax.tree.map(lambda sum: jnp.square(smaller) * sum, sums.squares), jnp.sum(jnp.square(relative))),
            _plus(sums.logs, jnp.sum(log_w)),
            lax.top_k(jnp.concatenate([sums.largest, log_w]), tail + 1)[0] if tail else sums.largest,
        )

    chunks, remainder = divmod(num_samples, chunk_size)
    first = jax.vmap(one)(along(SAMPLES, jnp.arange(chunk_size)))
    # All sums are of weights relative to one of them: at log w = −1e4 the digits of float32 are not enough.
    largest = jnp.max(first)
    reference = lax.stop_gradient(jnp.where(jnp.isfinite(largest), largest, 0.0))
    limits = jnp.finfo(reference.dtype)
    none = _Total(jnp.array(0.0), jnp.array(0.0))
    sums = add(_Sums(jnp.array(limits.min), none, none, none, jnp.full(tail + 1, -jnp.inf)), first - reference)

    def next_chunk(number: Array | int, sums: _Sums, size: int = chunk_size) -> _Sums:
        return add(sums, jax.vmap(one)(along(SAMPLES, number * chunk_size + jnp.arange(size))) - reference)

    # A scan, so that `value` has a gradient; one of nothing fails without jit.
    if chunks > 1:
        sums, _ = lax.scan(lambda sums, number: (next_chunk(number, sums), None), sums, jnp.arange(1, chunks))
    if remainder:
        sums = next_chunk(chunks, sums, remainder)

    log_sum = _log(sums.weights.value)
    ess, error = effective_samples(log_sum, _log(sums.squares.value), num_samples)
    return LogMarginal(
        value=reference + sums.shift + (log_sum - math.log(num_samples)),
        standard_error=error,
        ess=ess,
        elbo=reference + sums.logs.value / num_samples,
        pareto_k=pareto_k(sums.largest) if tail else jnp.asarray(jnp.nan),
    )


def naive_log_marginal(
    vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int, chunk_size: int = 100
) -> LogMarginal:
    """`log (1/k) Σ p(x | z_i)` with z_i from the PRIOR: for teaching how it fails.

    Without the logarithm it is right on average, as `log_marginal` is. But where x says much about z, only draws near
    the posterior count, and of few such draws the best has most of the weight: the effective sample size is near 1. The
    value then depends on one lucky draw. It is mostly too low, by many nats where z has many dimensions, rises slowly
    with k, and may come nearer to log p(x) for a small k than for a large one. The reported error is too small, and
    `pareto_k` says so. Where x says little about z, the value is right.
    """
    ignoring_x = vae._replace(encode=lambda params, x: vae.prior(params))
    return log_marginal(ignoring_x, params, key, x, num_samples=num_samples, chunk_size=chunk_size)
