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
from tests.bijections.table import BIJECTIONS
from tests.family_parameters import (
    BASE,
    BITS,
    CENTRES,
    CHOICES,
    CONCRETE,
    DIRTY,
    DOWN,
    GREY,
    LEVELS,
    LINK,
    LOC,
    LOGISTIC,
    MU,
    ORDER,
    SCALE,
    SPHERE,
    TAU,
    TRIL,
    UP,
    WEIGHTS,
    WRITTEN,
    linear,
    logistic_bins,
    logistic_draws,
    one_after_the_other,
    ordered_normal,
    truncated_exponential,
    truncated_exponential_draws,
)
from tests.references import (
    Columns,
    Complete,
    Layers,
    OneHot,
    Reference,
    Row,
    by_element,
    concrete_by_integral,
    of_numpyro,
    pushed,
)


class Family(NamedTuple):
    """A distribution with everything that the property tests need to know of it."""

    value: Any
    reference: Reference
    reparameterised: bool
    extremes: tuple[Callable[[Any], Any], ...] = ()
    """Distributions at extreme parameters, as functions of one number."""
    other: Any = None
    """A different distribution on the same space; by default the same with other parameters."""


DISTRIBUTIONS: dict[str, Family] = {
    "DiagNormal": Family(
        vj.DiagNormal(LOC, SCALE),
        of_numpyro(nd.Normal(LOC, SCALE).to_event(1)),
        True,
        (lambda s: vj.DiagNormal(jnp.zeros(2), jnp.exp(s * jnp.array([20.0, -20.0]))),),
    ),
    "DiagNormal, isotropic": Family(
        vj.DiagNormal(LOC, jnp.array(0.4)), of_numpyro(nd.Normal(LOC, 0.4 * jnp.ones(2)).to_event(1)), True
    ),
    "FullNormal": Family(
        vj.FullNormal(LOC, DIRTY),
        of_numpyro(nd.MultivariateNormal(LOC, scale_tril=TRIL)),
        True,
        (lambda s: vj.FullNormal(jnp.zeros(2), jnp.diag(jnp.exp(s * jnp.array([20.0, -20.0])))),),
    ),
    "StudentT": Family(
        vj.StudentT(jnp.array(3.5), LOC, SCALE),
        of_numpyro(nd.StudentT(3.5, LOC, SCALE).to_event(1)),
        True,
        (lambda s: vj.StudentT(jnp.array(3.0), jnp.zeros(2), jnp.exp(s * jnp.array([20.0, -20.0]))),),
    ),
    "ContinuousBernoulli": Family(
        vj.ContinuousBernoulli(jnp.asarray(GREY, jnp.float32)),
        by_element(truncated_exponential, truncated_exponential_draws),
        True,
        (lambda s: vj.ContinuousBernoulli(s * jnp.array([1e4, -1e4, 0.0])),),
    ),
    "Concrete": Family(
        vj.Concrete(CONCRETE, jnp.array(TAU)),
        Reference(
            concrete_by_integral(CONCRETE, TAU),
            lambda n: jax.nn.softmax((CONCRETE[None] + jax.random.gumbel(jax.random.key(1), (n, 2, 3))) / TAU),
        ),
        True,
        (lambda s: vj.Concrete(s * jnp.array([[1e4, 0.0, -1e4], [-10.0, 10.0, 0.0]]), jnp.array(0.1)),),
    ),
    "RelaxedBernoulli": Family(
        # Not too cold: the reference's density is of the value, which rounds to 1.
        vj.RelaxedBernoulli(WEIGHTS, jnp.array(1.3)),
        of_numpyro(nd.RelaxedBernoulliLogits(1.3, WEIGHTS).to_event(1)),
        True,
        (lambda s: vj.RelaxedBernoulli(s * jnp.array([1e4, -1e4, 0.0]), jnp.array(0.1)),),
    ),
    "VonMisesFisher": Family(
        vj.VonMisesFisher(MU, jnp.array(4.0)),
        Reference(
            lambda values: SPHERE.logpdf(np.asarray(values) / np.linalg.norm(values, axis=-1, keepdims=True)),
            lambda n: jnp.asarray(SPHERE.rvs(n, random_state=1), jnp.float32),
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
        other=vj.VonMisesFisher(MU, jnp.array(1.0)),
    ),
    "Chain, bottom up": Family(
        vj.bottom_up(vj.DiagNormal(LOC, SCALE), Partial(linear, LINK)),
        of_numpyro(Layers(nd.MultivariateNormal(jnp.concatenate([LOC, LINK["weight"] @ LOC]), UP), 2)),
        True,
    ),
    "Chain, top down": Family(
        vj.top_down(vj.DiagNormal(LOC, SCALE), Partial(linear, LINK)),
        of_numpyro(Layers(nd.MultivariateNormal(jnp.concatenate([LINK["weight"] @ LOC, LOC]), DOWN), 3)),
        True,
    ),
    "Chain, along a path": Family(
        # The second layer sees the state, which the first has been added to.
        vj.top_down_path(
            jnp.zeros(2),
            [Partial(lambda p, s: vj.DiagNormal(LOC + s, p), SCALE), Partial(linear, LINK)],
            [Partial(lambda w, s, z: s + w * z, jnp.ones(())), Partial(lambda w, s, z: s, jnp.ones(()))],
        ),
        of_numpyro(Layers(nd.MultivariateNormal(jnp.concatenate([LINK["weight"] @ LOC, LOC]), DOWN), 3)),
        True,
    ),
    "Mixture": Family(
        vj.Mixture(WEIGHTS, vj.DiagNormal(CENTRES, jnp.exp(0.3 * CENTRES))),
        of_numpyro(
            nd.MixtureSameFamily(nd.Categorical(logits=WEIGHTS), nd.Normal(CENTRES, jnp.exp(0.3 * CENTRES)).to_event(1))
        ),
        False,
    ),
    "ElementMixture": Family(
        vj.ElementMixture(CHOICES, vj.StudentT(jnp.array(4.0), 2.0 * CHOICES, jnp.exp(CHOICES))),
        of_numpyro(
            nd.MixtureSameFamily(
                nd.Categorical(logits=CHOICES), nd.StudentT(4.0, 2.0 * CHOICES, jnp.exp(CHOICES))
            ).to_event(1)
        ),
        False,
    ),
    "Product": Family(
        vj.Product({"age": vj.DiagNormal(LOC, SCALE), "job": vj.Categorical(CHOICES), "ill": vj.Bernoulli(BITS)}),
        of_numpyro(
            Columns(
                {
                    "age": nd.Normal(LOC, SCALE).to_event(1),
                    "job": nd.Categorical(logits=CHOICES).to_event(1),
                    "ill": nd.Bernoulli(logits=BITS).to_event(1),
                }
            )
        ),
        False,
    ),
    "Columns": Family(
        vj.Columns(
            {"reals": vj.DiagNormal(LOC, SCALE), "bits": vj.Bernoulli(BITS), "counts": vj.Poisson(jnp.array([0.3]))},
            (("reals", (0, 1)), ("bits", tuple(range(2, 2 + len(BITS)))), ("counts", (2 + len(BITS),))),
        ),
        of_numpyro(
            Row(
                (
                    nd.Normal(LOC, SCALE).to_event(1),
                    nd.Bernoulli(logits=BITS).to_event(1),
                    nd.Poisson(jnp.exp(jnp.array([0.3]))).to_event(1),
                )
            )
        ),
        False,
    ),
    "Masked": Family(
        vj.Masked(vj.DiagNormal(LOC, SCALE)), of_numpyro(Complete(nd.Normal(LOC, SCALE).to_event(1))), True
    ),
    "Autoregressive": Family(
        vj.Autoregressive(Partial(one_after_the_other, ORDER), (2, 2)), of_numpyro(ordered_normal()), True
    ),
    "Bernoulli": Family(
        vj.Bernoulli(BITS),
        of_numpyro(nd.Bernoulli(logits=BITS).to_event(1)),
        False,
        (lambda s: vj.Bernoulli(s * jnp.array([1e4, -1e4, 0.0])),),
    ),
    "Categorical": Family(
        vj.Categorical(CHOICES),
        of_numpyro(nd.Categorical(logits=CHOICES).to_event(1)),
        False,
        (lambda s: vj.Categorical(s * jnp.array([[1e4, 0.0, -1e4], [-1e4, 1e4, 0.0]])),),
    ),
    "Derivation": Family(
        WRITTEN.derivation,
        Reference(WRITTEN.log_probs, WRITTEN.draws),
        False,
    ),
    "OneHotCategorical": Family(vj.OneHotCategorical(CHOICES), of_numpyro(OneHot(CHOICES)), False),
    "StraightThrough": Family(
        vj.StraightThrough(vj.Concrete(CHOICES, jnp.array(0.7))), of_numpyro(OneHot(CHOICES)), True
    ),
    "StraightThrough, bits": Family(
        vj.StraightThrough(vj.RelaxedBernoulli(BITS, jnp.array(0.7))),
        of_numpyro(nd.Bernoulli(logits=BITS).to_event(1)),
        True,
    ),
    "Binomial": Family(
        vj.Binomial(BITS, 7),
        of_numpyro(nd.BinomialLogits(BITS, total_count=7).to_event(1)),
        False,
        (lambda s: vj.Binomial(s * jnp.array([1e4, -1e4, 0.0]), 7),),
    ),
    "Poisson": Family(
        vj.Poisson(BITS),
        of_numpyro(nd.Poisson(jnp.exp(BITS)).to_event(1)),
        False,
        (lambda s: vj.Poisson(s * jnp.array([20.0, -20.0])),),
    ),
    "NegativeBinomial": Family(
        vj.NegativeBinomial(BITS, jnp.array([0.5, -0.3, 2.0])),
        of_numpyro(nd.NegativeBinomial2(jnp.exp(BITS), jnp.exp(jnp.array([0.5, -0.3, 2.0]))).to_event(1)),
        False,
        (lambda s: vj.NegativeBinomial(s * jnp.array([15.0, -15.0]), s * jnp.array([-15.0, 15.0])),),
    ),
    "DiscretisedLogistic": Family(
        vj.DiscretisedLogistic(*(jnp.asarray(part, jnp.float32) for part in LOGISTIC), LEVELS),
        by_element(logistic_bins, logistic_draws),
        False,
        (lambda s: vj.DiscretisedLogistic(s * jnp.array([1e4, -1e4]), jnp.exp(s * jnp.array([20.0, -5.0])), 255),),
    ),
} | {
    f"Transformed, {name}": Family(vj.Transformed(BASE, bijection), pushed(BASE, bijection), True)
    for name, bijection in BIJECTIONS.items()
}
