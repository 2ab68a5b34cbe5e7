"""Kullback–Leibler divergences in closed form, by pair of types.

`kl(q, p)` looks the pair up in a table, to which `register_kl` adds a row. Every row is a function
`(q, p) -> [d]` where the divergence is a sum over dimensions, and `(q, p) -> []` where it is not.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_positive
from vae_jax.core.trees import summed, widened
from vae_jax.core.types import Array, Key
from vae_jax.distributions import (
    Bernoulli,
    Categorical,
    Concrete,
    DiagNormal,
    FullNormal,
    OneHotCategorical,
    RelaxedBernoulli,
    StraightThrough,
    UniformSphere,
    VonMisesFisher,
)
from vae_jax.distributions.hierarchy import Chain
from vae_jax.distributions.remainders import exp_remainder

_ROWS: dict[tuple[type, type], Callable[[Any, Any], Array]] = {}


def register_kl(q: type, p: type) -> Callable[[Callable[[Any, Any], Array]], Callable[[Any, Any], Array]]:
    """Decorator: make a function `(q, p) -> [d]` or `[]`, nats, the closed form of `kl(q, p)` for these two types."""

    def register(row: Callable[[Any, Any], Array]) -> Callable[[Any, Any], Array]:
        _ROWS[q, p] = row
        return row

    return register


def has_closed_form(q: type, p: type) -> bool:
    """Whether `kl` has a closed form for this pair of types."""
    return (q, p) in _ROWS


def kl_terms(q: Any, p: Any) -> Array:
    """The terms of KL(q ‖ p) in nats: one per dimension, `[d]` (the event shape), where it factorises, else `[]`."""
    row = _ROWS.get((type(q), type(p)))
    if row is None:
        pair = f"({type(q).__name__}, {type(p).__name__})"
        known = ", ".join(f"({a.__name__}, {b.__name__})" for a, b in _ROWS)
        raise TypeError(
            f"kl: no closed form for {pair}; there is one for {known}. Add one with register_kl, or use a "
            "Monte Carlo estimator, which needs none: total(elbo), or sampled_terms for the KL by itself."
        )
    return row(q, p)


def kl(q: Any, p: Any) -> Array:
    """KL(q ‖ p) >= 0 in closed form: a scalar, in nats.

    From a diagonal to the standard normal it is `½ Σ (σ² + μ² − 1 − log σ²)`, from a full covariance
    `½ (tr Σ + μᵀμ − d − log det Σ)`. TypeError if the pair has no closed form here (the message names it),
    ValueError if the event shapes differ. Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, appendix B.
    """
    return summed(kl_terms(q, p))


def sample_and_layer_kls(q: Chain, p: Chain, key: Key) -> tuple[tuple[Any, ...], Array]:
    """A sample of q, and of each layer its KL given the layers drawn before it: `[layers]`, nats, the lowest first.

    Their sum is unbiased for KL(q ‖ p), and varies less than `log q − log p` of the sample. TypeError where the two are
    not drawn in the same order, or a pair of layers has no closed form.

    Source: Improved Variational Inference with Inverse Autoregressive Flow, arXiv 1606.04934.
    """
    if q.places != p.places:
        raise TypeError(
            "kl: the layers of q and of p are drawn in different orders, so the KL of a layer has no closed form. A "
            "Monte Carlo estimator needs none: total(elbo), or sampled_terms for the KL by itself."
        )
    z, layers = q.sample_and_layers(key)
    return z, jnp.stack([kl(*pair) for pair in zip(layers, p.layers(z), strict=True)])


def _check_events(q: Any, p: Any) -> None:
    if q.event_shape != p.event_shape:
        batch = "jax.vmap(kl, (0, None))(q, p)" if q.event_shape[1:] == p.event_shape else "jax.vmap(kl)(q, p)"
        raise ValueError(
            f"kl: both distributions must have the same event shape, got {q.event_shape} and "
            f"{p.event_shape}. For a batch, each array of which has a row for every example: {batch}."
        )


@register_kl(DiagNormal, DiagNormal)
def _diag_diag(q: DiagNormal, p: DiagNormal) -> Array:
    _check_events(q, p)
    for normal in (q, p):
        check_positive("DiagNormal", scale=normal.scale)
    (q_mean, q_stddev), (p_mean, p_stddev) = ((widened(d.mean), widened(d.stddev)) for d in (q, p))
    offset = (q_mean - p_mean) / p_stddev
    # r² − 1 − log r² of the ratio r, in one, so that small divergences keep their digits and none is below 0.
    return 0.5 * (jnp.square(offset) + exp_remainder(2.0 * jnp.log(q_stddev / p_stddev)))


def _full_full(q: FullNormal, p: FullNormal) -> Array:
    _check_events(q, p)
    solve = jax.scipy.linalg.solve_triangular
    tril = widened(p.tril)
    whitened = solve(tril, widened(q.tril), lower=True)
    offset = solve(tril, widened(q.mean) - widened(p.mean), lower=True)
    # Trace and determinant meet on the diagonal, whose part is that of independent normals.
    along = exp_remainder(2.0 * jnp.log(jnp.abs(jnp.diagonal(whitened))))
    across = jnp.square(jnp.tril(whitened, -1))
    return 0.5 * (jnp.sum(along) + jnp.sum(across) + jnp.sum(jnp.square(offset)))


def _as_full(d: DiagNormal | FullNormal) -> FullNormal:
    return d if isinstance(d, FullNormal) else FullNormal(d.mean, jnp.diag(d.stddev))


for _pair in [(FullNormal, FullNormal), (FullNormal, DiagNormal), (DiagNormal, FullNormal)]:
    register_kl(*_pair)(lambda q, p: _full_full(_as_full(q), _as_full(p)))


def _of_probabilities(log_q: Array, log_p: Array) -> Array:
    """`q log(q / p) + p − q` ≥ 0, with its digits where it is small: its sum over all choices is the divergence."""
    # What q never chooses adds p alone. Its own −inf would make NaN, in the value or in the gradient.
    possible = log_q > -jnp.inf
    log_q, u = jnp.where(possible, log_q, 0.0), jnp.where(possible, log_p - log_q, 0.0)
    q, small = jnp.exp(log_q), jnp.abs(u) < 0.5
    some = jnp.where(small, q * exp_remainder(jnp.where(small, u, 0.0)), jnp.exp(log_p) - q - q * u)
    return jnp.where(possible, some, jnp.exp(log_p))


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(q: Bernoulli, p: Bernoulli) -> Array:
    _check_events(q, p)
    log_sigmoid = jax.nn.log_sigmoid
    q_logits, p_logits = widened(q.logits), widened(p.logits)
    ones = _of_probabilities(log_sigmoid(q_logits), log_sigmoid(p_logits))
    return ones + _of_probabilities(log_sigmoid(-q_logits), log_sigmoid(-p_logits))


@register_kl(OneHotCategorical, OneHotCategorical)
@register_kl(Categorical, Categorical)
def _categorical(q: Categorical | OneHotCategorical, p: Categorical | OneHotCategorical) -> Array:
    _check_events(q, p)
    log_q, log_p = (jax.nn.log_softmax(widened(d.logits)) for d in (q, p))
    return jnp.sum(_of_probabilities(log_q, log_p), axis=-1)


# A relaxed posterior against a discrete prior: the KL of its discrete distribution. With relaxed samples the ELBO that
# holds it, that of Gumbel-Softmax (arXiv 1611.01144), is not a bound; with discrete samples it is.
@register_kl(Concrete, OneHotCategorical)
@register_kl(RelaxedBernoulli, Bernoulli)
@register_kl(StraightThrough, OneHotCategorical)
@register_kl(StraightThrough, Bernoulli)
def _of_the_discrete(q: Concrete | RelaxedBernoulli | StraightThrough, p: OneHotCategorical | Bernoulli) -> Array:
    return kl_terms(q.discrete, p)


@register_kl(VonMisesFisher, UniformSphere)
def _von_mises_fisher_uniform(q: VonMisesFisher, p: UniformSphere) -> Array:
    _check_events(q, p)
    return q.integral.kl
