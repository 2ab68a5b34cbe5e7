"""The table of distributions: every property test runs over every row. A family without a row does not exist."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as nd
import scipy.special
import scipy.stats
from jax.tree_util import Partial

import vae_jax as vj
from tests.bijections import BIJECTIONS
from tests.references import (
    Columns,
    Complete,
    Enumerated,
    Layers,
    OneHot,
    Reference,
    by_element,
    concrete_by_integral,
    of_numpyro,
    pushed,
)
from vae_jax.languages.grammar import read_grammar
from vae_jax.nets.recurrent import DerivationDecoder


class Family(NamedTuple):
    """A distribution with everything that the property tests need to know of it."""

    value: Any
    reference: Reference
    reparameterised: bool
    extremes: tuple[Callable[[Any], Any], ...] = ()
    """Distributions at extreme parameters, as functions of one number."""
    other: Any = None
    """A different distribution on the same space; by default the same with other parameters."""


_LOC = jnp.array([0.3, -1.2])
_SCALE = jnp.array([0.7, 1.9])
_TRIL = jnp.array([[0.8, 0.0], [-0.6, 1.1]])
# Entries above the diagonal must be ignored everywhere.
_DIRTY = _TRIL.at[0, 1].set(5.0)
_BITS = jnp.array([-1.5, 0.2, 3.0])
_CHOICES = jnp.array([[0.1, -1.0, 2.0], [1.5, 0.0, -0.5]])
_GREY = np.array([-30.0, 1e-3, 2.5])
_LEVELS = 6
_LOGISTIC = (np.array([0.4, 3.2, 5.9]), np.array([0.5, 1.3, 2.0]))
_MU = jnp.array([2.0, -1.0, 2.0]) / 3.0
_WEIGHTS = jnp.array([0.3, -0.8, 0.1])
_CENTRES = jnp.array([[0.0, 1.0], [2.0, -1.0], [-3.0, 0.5]])


def _linear(params: Any, z: Any) -> Any:
    return vj.DiagNormal(params["weight"] @ z, params["scale"])


_LINK = {"weight": jnp.array([[0.8, -0.3], [0.2, 0.5], [-0.6, 0.1]]), "scale": jnp.array([0.5, 0.9, 0.7])}
_FIRST = jnp.diag(jnp.square(_SCALE))
_SECOND = _LINK["weight"] @ _FIRST @ _LINK["weight"].T + jnp.diag(jnp.square(_LINK["scale"]))
_CROSS = _LINK["weight"] @ _FIRST
_UP = jnp.block([[_FIRST, _CROSS.T], [_CROSS, _SECOND]])
_DOWN = jnp.block([[_SECOND, _CROSS], [_CROSS.T, _FIRST]])


def _one_after_the_other(params: Any, v: Any) -> Any:
    flat = jnp.tril(params["weight"], -1) @ jnp.ravel(v) + params["bias"]
    return vj.DiagNormal(flat.reshape(v.shape), params["scale"].reshape(v.shape))


_ORDER = {
    "weight": jnp.array([[0.0, 9.0, 9.0, 9.0], [0.7, 0.0, 9.0, 9.0], [-0.4, 0.9, 0.0, 9.0], [0.2, -0.6, 0.5, 0.0]]),
    "bias": jnp.array([0.1, -0.5, 0.3, 1.0]),
    "scale": jnp.array([0.6, 1.2, 0.8, 0.5]),
}


def _ordered_normal() -> Any:
    """v = W v + b + s ε, so v is normal: the law that `_one_after_the_other` describes step by step."""
    out = jnp.linalg.inv(jnp.eye(4) - jnp.tril(_ORDER["weight"], -1))
    joint = nd.MultivariateNormal(out @ _ORDER["bias"], scale_tril=out * _ORDER["scale"][None, :])

    class Image(NamedTuple):
        def sample(self, key: Any) -> Any:
            return joint.sample(key).reshape(2, 2)

        def log_prob(self, value: Any) -> Any:
            return joint.log_prob(jnp.ravel(value))

    return Image()


def _truncated_exponential(v: Any) -> Any:
    """SciPy's exponential cut at 1, mirrored where the logit is positive."""
    size = np.abs(_GREY)
    return scipy.stats.truncexpon.logpdf(np.where(_GREY > 0, 1 - v, v), b=size, scale=1 / size)


def _truncated_exponential_draws(generator: Any, n: int) -> Any:
    size = np.abs(_GREY)
    v = scipy.stats.truncexpon.rvs(b=size, scale=1 / size, size=(n, 3), random_state=generator)
    return np.where(_GREY > 0, 1 - v, v)


def _logistic_bins(v: Any) -> Any:
    loc, scale = _LOGISTIC
    cdf = lambda edge: scipy.special.expit((edge - loc) / scale)
    upper = np.where(v == _LEVELS, 1.0, cdf(v + 0.5))
    return np.log(upper - np.where(v == 0, 0.0, cdf(v - 0.5)))


def _logistic_draws(generator: Any, n: int) -> Any:
    loc, scale = _LOGISTIC
    return np.clip(np.round(generator.logistic(loc, scale, (n, 3))), 0, _LEVELS)


_BASE = vj.DiagNormal(jnp.array([0.2, -0.5, 0.1]), jnp.array([0.8, 1.1, 0.6]))
_CONCRETE, _TAU = jnp.array([[0.3, -0.6, 0.9], [0.0, 0.4, -0.2]]), 0.7
_SPHERE = scipy.stats.vonmises_fisher(np.asarray(_MU, np.float64) / np.linalg.norm(_MU), 4.0)

_GRAMMAR = read_grammar('start: "a" start start | "b" | other\nother: "c" | "d" other')


_WRITER = DerivationDecoder(_GRAMMAR, 5, 4, 2)
_WRITTEN = Enumerated(_GRAMMAR, _WRITER.apply(_WRITER.init(jax.random.key(3), _LOC), _LOC))

DISTRIBUTIONS: dict[str, Family] = {
    "DiagNormal": Family(
        vj.DiagNormal(_LOC, _SCALE),
        of_numpyro(nd.Normal(_LOC, _SCALE).to_event(1)),
        True,
        (lambda s: vj.DiagNormal(jnp.zeros(2), jnp.exp(s * jnp.array([20.0, -20.0]))),),
    ),
    "DiagNormal, isotropic": Family(
        vj.DiagNormal(_LOC, jnp.array(0.4)), of_numpyro(nd.Normal(_LOC, 0.4 * jnp.ones(2)).to_event(1)), True
    ),
    "FullNormal": Family(
        vj.FullNormal(_LOC, _DIRTY),
        of_numpyro(nd.MultivariateNormal(_LOC, scale_tril=_TRIL)),
        True,
        (lambda s: vj.FullNormal(jnp.zeros(2), jnp.diag(jnp.exp(s * jnp.array([20.0, -20.0])))),),
    ),
    "StudentT": Family(
        vj.StudentT(jnp.array(3.5), _LOC, _SCALE),
        of_numpyro(nd.StudentT(3.5, _LOC, _SCALE).to_event(1)),
        True,
        (lambda s: vj.StudentT(jnp.array(3.0), jnp.zeros(2), jnp.exp(s * jnp.array([20.0, -20.0]))),),
    ),
    "ContinuousBernoulli": Family(
        vj.ContinuousBernoulli(jnp.asarray(_GREY, jnp.float32)),
        by_element(_truncated_exponential, _truncated_exponential_draws),
        True,
        (lambda s: vj.ContinuousBernoulli(s * jnp.array([1e4, -1e4, 0.0])),),
    ),
    "Concrete": Family(
        vj.Concrete(_CONCRETE, jnp.array(_TAU)),
        Reference(
            concrete_by_integral(_CONCRETE, _TAU),
            lambda n: jax.nn.softmax((_CONCRETE[None] + jax.random.gumbel(jax.random.key(1), (n, 2, 3))) / _TAU),
        ),
        True,
        (lambda s: vj.Concrete(s * jnp.array([[1e4, 0.0, -1e4], [-10.0, 10.0, 0.0]]), jnp.array(0.1)),),
    ),
    "RelaxedBernoulli": Family(
        # Not too cold: the reference's density is of the value, which rounds to 1.
        vj.RelaxedBernoulli(_WEIGHTS, jnp.array(1.3)),
        of_numpyro(nd.RelaxedBernoulliLogits(1.3, _WEIGHTS).to_event(1)),
        True,
        (lambda s: vj.RelaxedBernoulli(s * jnp.array([1e4, -1e4, 0.0]), jnp.array(0.1)),),
    ),
    "VonMisesFisher": Family(
        vj.VonMisesFisher(_MU, jnp.array(4.0)),
        Reference(
            lambda values: _SPHERE.logpdf(np.asarray(values) / np.linalg.norm(values, axis=-1, keepdims=True)),
            lambda n: jnp.asarray(_SPHERE.rvs(n, random_state=1), jnp.float32),
        ),
        True,
        (lambda s: vj.VonMisesFisher(jnp.array([0.6, 0.0, 0.8]), jnp.exp(8.0 * s)),),
    ),
    "UniformSphere": Family(
        vj.UniformSphere(3),
        Reference(
            lambda values: np.full(len(values), -np.log(4 * np.pi)),
            lambda n: jnp.asarray(scipy.stats.uniform_direction(3).rvs(n, random_state=1), jnp.float32),
        ),
        False,
        other=vj.VonMisesFisher(_MU, jnp.array(1.0)),
    ),
    "Chain, bottom up": Family(
        vj.bottom_up(vj.DiagNormal(_LOC, _SCALE), Partial(_linear, _LINK)),
        of_numpyro(Layers(nd.MultivariateNormal(jnp.concatenate([_LOC, _LINK["weight"] @ _LOC]), _UP), 2)),
        True,
    ),
    "Chain, top down": Family(
        vj.top_down(vj.DiagNormal(_LOC, _SCALE), Partial(_linear, _LINK)),
        of_numpyro(Layers(nd.MultivariateNormal(jnp.concatenate([_LINK["weight"] @ _LOC, _LOC]), _DOWN), 3)),
        True,
    ),
    "Mixture": Family(
        vj.Mixture(_WEIGHTS, vj.DiagNormal(_CENTRES, jnp.exp(0.3 * _CENTRES))),
        of_numpyro(
            nd.MixtureSameFamily(
                nd.Categorical(logits=_WEIGHTS), nd.Normal(_CENTRES, jnp.exp(0.3 * _CENTRES)).to_event(1)
            )
        ),
        False,
    ),
    "ElementMixture": Family(
        vj.ElementMixture(_CHOICES, vj.StudentT(jnp.array(4.0), 2.0 * _CHOICES, jnp.exp(_CHOICES))),
        of_numpyro(
            nd.MixtureSameFamily(
                nd.Categorical(logits=_CHOICES), nd.StudentT(4.0, 2.0 * _CHOICES, jnp.exp(_CHOICES))
            ).to_event(1)
        ),
        False,
    ),
    "Product": Family(
        vj.Product({"age": vj.DiagNormal(_LOC, _SCALE), "job": vj.Categorical(_CHOICES), "ill": vj.Bernoulli(_BITS)}),
        of_numpyro(
            Columns(
                {
                    "age": nd.Normal(_LOC, _SCALE).to_event(1),
                    "job": nd.Categorical(logits=_CHOICES).to_event(1),
                    "ill": nd.Bernoulli(logits=_BITS).to_event(1),
                }
            )
        ),
        False,
    ),
    "Masked": Family(
        vj.Masked(vj.DiagNormal(_LOC, _SCALE)), of_numpyro(Complete(nd.Normal(_LOC, _SCALE).to_event(1))), True
    ),
    "Autoregressive": Family(
        vj.Autoregressive(Partial(_one_after_the_other, _ORDER), (2, 2)), of_numpyro(_ordered_normal()), True
    ),
    "Bernoulli": Family(
        vj.Bernoulli(_BITS),
        of_numpyro(nd.Bernoulli(logits=_BITS).to_event(1)),
        False,
        (lambda s: vj.Bernoulli(s * jnp.array([1e4, -1e4, 0.0])),),
    ),
    "Categorical": Family(
        vj.Categorical(_CHOICES),
        of_numpyro(nd.Categorical(logits=_CHOICES).to_event(1)),
        False,
        (lambda s: vj.Categorical(s * jnp.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]])),),
    ),
    "Derivation": Family(
        _WRITTEN.derivation,
        Reference(_WRITTEN.log_probs, _WRITTEN.draws),
        False,
    ),
    "OneHotCategorical": Family(vj.OneHotCategorical(_CHOICES), of_numpyro(OneHot(_CHOICES)), False),
    "StraightThrough": Family(
        vj.StraightThrough(vj.Concrete(_CHOICES, jnp.array(0.7))), of_numpyro(OneHot(_CHOICES)), True
    ),
    "StraightThrough, bits": Family(
        vj.StraightThrough(vj.RelaxedBernoulli(_BITS, jnp.array(0.7))),
        of_numpyro(nd.Bernoulli(logits=_BITS).to_event(1)),
        True,
    ),
    "Binomial": Family(
        vj.Binomial(_BITS, 7),
        of_numpyro(nd.BinomialLogits(_BITS, total_count=7).to_event(1)),
        False,
        (lambda s: vj.Binomial(s * jnp.array([1e4, -1e4, 0.0]), 7),),
    ),
    "Poisson": Family(
        vj.Poisson(_BITS),
        of_numpyro(nd.Poisson(jnp.exp(_BITS)).to_event(1)),
        False,
        (lambda s: vj.Poisson(s * jnp.array([20.0, -20.0])),),
    ),
    "NegativeBinomial": Family(
        vj.NegativeBinomial(_BITS, jnp.array([0.5, -0.3, 2.0])),
        of_numpyro(nd.NegativeBinomial2(jnp.exp(_BITS), jnp.exp(jnp.array([0.5, -0.3, 2.0]))).to_event(1)),
        False,
        (lambda s: vj.NegativeBinomial(s * jnp.array([15.0, -15.0]), s * jnp.array([-15.0, 15.0])),),
    ),
    "DiscretisedLogistic": Family(
        vj.DiscretisedLogistic(*(jnp.asarray(part, jnp.float32) for part in _LOGISTIC), _LEVELS),
        by_element(_logistic_bins, _logistic_draws),
        False,
        (lambda s: vj.DiscretisedLogistic(s * jnp.array([1e4, -1e4]), jnp.exp(s * jnp.array([20.0, -5.0])), 255),),
    ),
} | {
    f"Transformed, {name}": Family(vj.Transformed(_BASE, bijection), pushed(_BASE, bijection), True)
    for name, bijection in BIJECTIONS.items()
}
