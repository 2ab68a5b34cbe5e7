"""Gradient estimators: `bound -> estimate(vae, params, key, x, *, num_samples) -> ()`.

Every estimate returns the value of the bound itself, for one example, in nats, to be maximised. The estimators
differ only in the gradient that `jax.grad` gives. All but `total` stop some gradients, so only their FIRST
derivatives are right.

| estimator | gradient for the encoder | needs | unbiased for |
|---|---|---|---|
| `total` | reparameterisation, all terms | a reparameterised posterior | every bound |
| `stl`   | path derivative, score term left out | the same | `elbo` |
| `dreg`  | path derivative, doubly reparameterised | the same | every bound |
| `score` | score function with a leave-one-out baseline | any posterior, also discrete | every bound |
| `piwae` | reparameterisation, of a second bound | a reparameterised posterior | the two bounds |

Path derivatives (`stl`, `dreg`) vanish where q is the true posterior. Their variance is not always the smaller one:
it is smaller than that of `total` where q is at least as wide as the posterior, and larger where q is much
narrower. (Target N(0, 1), q = N(0.3, 0.2²), `elbo`: the standard deviation of the gradient for the mean
is 0.20 with `total` and 4.8 with `stl`; the crossover for `elbo` is at σ_q² = σ²_posterior / 2.)
"""

import inspect
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import check_reparameterised, sample_and_log_prob, sample_and_path_log_prob
from vae_jax.models.vae import VAE, log_weights, over_samples, posterior_and_prior
from vae_jax.objectives.bounds import Bound, ciwae, miwae, path_weights, renyi


class Estimate(Protocol):
    """The value of a bound for one example, in nats, with the gradient of one estimator."""

    def __call__(self, vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
        """The value, a scalar in nats, from k = `num_samples` draws of z. ValueError for a batch of x."""
        ...


def _check_bound(where: str, bound: Any) -> None:
    """TypeError for what makes a bound, or is an estimate of one already."""
    if bound in (renyi, miwae, ciwae):
        raise TypeError(f"{where}: {bound.__name__} makes a bound of a number: {where}({bound.__name__}(…)).")
    if is_estimate(bound):
        raise TypeError(
            f"{where}: an estimator takes a bound, a function of log-weights [k], and got an estimate of one."
        )


def is_estimate(function: Any) -> bool:
    """Whether this is called as an `Estimate` is, by its parameter `num_samples`."""
    return "num_samples" in inspect.signature(function).parameters


def total(bound: Bound) -> Estimate:
    """The plain reparameterised estimator: `jax.grad` of the bound through everything.

    An estimate is `(vae, params, key, x, *, num_samples=k) -> ()`, of one example, in nats, to be maximised.
    Unbiased for every bound. Its encoder gradient keeps the score term, whose expectation is zero, so it has
    variance even where the posterior is exact; for `iwae` its signal-to-noise ratio falls with k. TypeError for a
    posterior whose samples carry no gradient.

    Source: Auto-Encoding Variational Bayes, arXiv 1312.6114.
    """
    _check_bound("total", bound)

    def estimate(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
        log_w = log_weights(vae, params, key, x, num_samples=num_samples)
        # Inside the trace, which takes arrays alone: parameters may hold functions.
        jax.eval_shape(lambda x: check_reparameterised("total", vae.encode(params, x)), x)
        return bound(log_w)

    return estimate


def _path_samples(where: str, vae: VAE, params: Params, key: Key, x: PyTree, num_samples: int) -> tuple[Any, ...]:
    """`(z [k, …], log_q [k], log_joint(z) -> [k])`, with the path derivative alone in `log_q`."""
    check_count(where, "num_samples", num_samples)
    posterior, prior = posterior_and_prior(where, vae, params, key, x)
    check_reparameterised(where, posterior)
    z, log_q = over_samples(lambda key: sample_and_path_log_prob(posterior, key), key, num_samples)

    def log_joint(z: PyTree) -> Array:
        return jax.vmap(lambda z: prior.log_prob(z) + vae.decode(params, z).log_prob(x))(z)

    return z, log_q, log_joint


def stl(bound: Bound) -> Estimate:
    """Sticking the landing: the gradient of the bound without the score term of `log q`.

    An estimate is `(vae, params, key, x, *, num_samples=k) -> ()`, of one example, in nats, to be maximised.
    Unbiased for `elbo` only, whose gradient for the encoder is then exactly zero where q is the true posterior.
    **`stl` of any other bound, `stl(iwae)` for one, is biased for the encoder's parameters**: use `dreg`. Its variance
    is smaller than that of `total` where q is as wide as the posterior, larger where q is five times narrower.
    TypeError for a posterior whose samples carry no gradient. First derivatives only.

    Source: Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference,
    arXiv 1703.09194.
    """
    _check_bound("stl", bound)

    def estimate(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
        z, log_q, log_joint = _path_samples("stl", vae, params, key, x, num_samples)
        return bound(log_joint(z) - log_q)

    return estimate


@jax.custom_jvp
def _scale_gradient(value: Any, factor: Array) -> Any:
    """The identity on `value`, whose gradient is multiplied by the scalar `factor`."""
    del factor
    return value


@_scale_gradient.defjvp
def _(primals: tuple[Any, Array], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    value, factor = primals
    return value, jax.tree.map(lambda tangent: factor.astype(tangent.dtype) * tangent, tangents[0])


def dreg(bound: Bound) -> Estimate:
    """Doubly reparameterised gradients, for every bound.

    An estimate is `(vae, params, key, x, *, num_samples=k) -> ()`, of one example, in nats, to be maximised.
    With `g = ∇bound(log_w)` and `H = ∇²bound(log_w)`, the path derivative of sample i gets the weight
    `g_i − H_ii` (`vae_jax.objectives.bounds.path_weights`), and the gradient of decoder and prior the weight `g_i`.
    So `dreg(elbo)` is `stl(elbo)`. Unbiased. Its variance is smaller than that of `total` where q is as wide as the
    posterior, larger where q is five times narrower. TypeError for a posterior whose samples carry no gradient.
    First derivatives only.

    Source: Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives, arXiv 1810.04152;
    Rényi weights: Alpha-divergence Variational Inference Meets Importance Weighted Auto-Encoders, arXiv 2210.06226.
    """
    _check_bound("dreg", bound)

    def estimate(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
        z, log_q, log_joint = _path_samples("dreg", vae, params, key, x, num_samples)
        log_w = lax.stop_gradient(log_joint(z) - log_q)
        slope = jax.grad(bound)(log_w)
        # One backward pass serves decoder and encoder. The decoder needs the gradient weighted by the slope; on its
        # way on to z it is rescaled to the path weight. Where a slope is zero (an underflowed weight) there is
        # nothing to rescale.
        vanished = slope == 0.0
        ratio = jnp.where(vanished, 0.0, path_weights(bound, log_w) / jnp.where(vanished, 1.0, slope))
        z, log_q = jax.vmap(_scale_gradient)((z, log_q), ratio)
        # Zero times the −inf of a sample of no weight would be NaN.
        counted = jnp.where(vanished | jnp.isneginf(log_w), 0.0, log_joint(z) - log_q)
        value = bound(log_w)
        surrogate = jnp.where(jnp.isfinite(value), jnp.dot(slope, counted), 0.0)
        return value + _without_value(surrogate)

    return estimate


def _without_value(surrogate: Array) -> Array:
    """Zero, with the gradient of `surrogate`: added first, so that a large one takes no digits from the value."""
    return surrogate - lax.stop_gradient(surrogate)


def leave_one_out(bound: Bound, log_w: Array) -> Array:
    """`[k]`: for each sample, the bound with that sample's log-weight replaced by the mean of the others.

    Entry i does not depend on sample i, whose baseline it is. With one sample there are no others: zero, as where the
    others alone have no finite bound.

    Source: Variational Inference for Monte Carlo Objectives (VIMCO), arXiv 1602.06725.
    """
    k = log_w.shape[0]
    if k == 1:
        return jnp.zeros_like(log_w)

    def without(i: Array) -> Array:
        # Summed without it: from a sum of −inf nothing can be taken away.
        mean_of_others = jnp.sum(log_w.at[i].set(0.0)) / (k - 1)
        baseline = bound(log_w.at[i].set(mean_of_others))
        return jnp.where(jnp.isfinite(baseline), baseline, 0.0)

    return jax.vmap(without)(jnp.arange(k))


def score(bound: Bound) -> Estimate:
    """The score-function (REINFORCE) estimator with the leave-one-out baseline.

    An estimate is `(vae, params, key, x, *, num_samples=k) -> ()`, of one example, in nats, to be maximised.
    It needs only `sample` and `log_prob` of the posterior, so it works for discrete latents too. Unbiased for every
    bound. `score(elbo)` is the leave-one-out estimator and `score(iwae)` is VIMCO. Its variance is much larger than
    that of the reparameterised estimators, and largest with `num_samples=1`, where there is no baseline. First
    derivatives only.

    Source: Variational Inference for Monte Carlo Objectives, arXiv 1602.06725.
    """
    _check_bound("score", bound)

    def estimate(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
        check_count("score", "num_samples", num_samples)
        posterior, prior = posterior_and_prior("score", vae, params, key, x)

        def draw(key: Key) -> tuple[Array, Array]:
            z = freeze(posterior.sample(key))
            log_q = posterior.log_prob(z)
            return prior.log_prob(z) + vae.decode(params, z).log_prob(x) - log_q, log_q

        log_w, log_q = over_samples(draw, key, num_samples)
        value = bound(log_w)
        advantage = lax.stop_gradient(value - leave_one_out(bound, log_w))
        # Where the bound is −inf, that is the value, and there is no gradient.
        advantage = jnp.where(jnp.isfinite(value), advantage, 0.0)
        surrogate = jnp.dot(advantage, log_q)
        return value + _without_value(surrogate)

    return estimate


def piwae(generative: Bound, inference: Bound) -> Estimate:
    """Two bounds of the same log-weights: `generative` trains decoder and prior, `inference` the encoder.

    An estimate is `(vae, params, key, x, *, num_samples=k) -> ()`, of one example, in nats, to be maximised.
    PIWAE is `piwae(iwae, miwae(M))`: the decoder follows the tightest bound, and the encoder a bound whose gradient
    has a higher signal-to-noise ratio. The value is that of `generative`. The gradients are those of `total` for
    each bound, so unbiased; they cost a second backward pass of the decoder. TypeError for a posterior whose
    samples carry no gradient. First derivatives only.

    Source: Tighter Variational Bounds are Not Necessarily Better, arXiv 1802.04537.
    """
    _check_bound("piwae", generative)
    _check_bound("piwae", inference)

    def estimate(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
        check_count("piwae", "num_samples", num_samples)
        posterior, _ = posterior_and_prior("piwae", vae, params, key, x)
        check_reparameterised("piwae", posterior)
        z, log_q = over_samples(lambda key: sample_and_log_prob(posterior, key), key, num_samples)

        def log_joint(params: Params, x: PyTree, z: PyTree) -> Array:
            prior = vae.prior(params)
            return jax.vmap(lambda z: prior.log_prob(z) + vae.decode(params, z).log_prob(x))(z)

        by_decoder = log_joint(params, x, freeze(z)) - lax.stop_gradient(log_q)
        # What x says by itself is in the first.
        by_encoder = log_joint(freeze(params), freeze(x), z) - log_q
        surrogate = inference(by_encoder)
        return generative(by_decoder) + _without_value(surrogate)

    return estimate
