"""Laws of the mathematics, each with a mutation that breaks it.

A law is a check of an implementation. The right implementation must pass, and the perturbed one must fail: a
check that nothing can fail says nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import vae_jax as vj
from tests import law_checks as check
from tests.families import DISTRIBUTIONS
from tests.members import BOUNDS, ESTIMATORS, X, estimate_of
from vae_jax.core.trees import freeze
from vae_jax.models.linear_gaussian import marginal
from vae_jax.objectives.bounds import has_path_weights, path_weights


class Law(NamedTuple):
    """`check(right)` passes, `check(wrong)` raises AssertionError."""

    name: str
    check: Callable[[Any], None]
    right: Any
    wrong: Any
    of_a_family: bool = False


@jax.tree_util.register_static
class _Leaky:
    """A distribution that hides its parameters from `freeze`: it is not a pytree of them."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def log_prob(self, value: Any) -> Any:
        return self.inner.log_prob(value)


class _Tilted(NamedTuple):
    """A distribution whose density is off by a factor that depends on its parameters."""

    inner: Any
    tilt: Any = 0.05

    def sample(self, key: Any, shape: Any = ()) -> Any:
        return self.inner.sample(key, shape)

    def log_prob(self, value: Any) -> Any:
        weight = sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(self.inner))
        return self.inner.log_prob(value) + self.tilt * (1.0 + weight)


class _Mutated(NamedTuple):
    """A distribution that samples from another one."""

    inner: Any
    other: Any

    def sample(self, key: Any, shape: Any = ()) -> Any:
        return self.other.sample(key, shape)

    def log_prob(self, value: Any) -> Any:
        return self.inner.log_prob(value)

    def sample_and_log_prob(self, key: Any) -> Any:
        return self.inner.sample(key), self.other.log_prob(self.inner.sample(key))

    def sample_and_path_log_prob(self, key: Any) -> Any:
        return self.sample_and_log_prob(key)


def _perturbed(d: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf * 1.1 + 0.1, d)


def _naive_bernoulli(s: Any) -> Any:
    class Naive:
        logits = s * jnp.array([1e4, -1e4, 0.0])

        def sample(self, key: Any) -> Any:
            return jnp.array([0.0, 1.0, 1.0])

        def log_prob(self, v: Any) -> Any:
            p = jax.nn.sigmoid(self.logits)
            return jnp.sum(v * jnp.log(p) + (1 - v) * jnp.log(1 - p))

    return Naive()


def _elbo_twice_the_kl(*arguments: Any, **options: Any) -> Any:
    terms = vj.elbo_terms(*arguments, **options)
    return terms._replace(kl=2 * terms.kl)


def _with_wrong_path_weights(bound: Any) -> Any:
    """The bound itself, with path weights that are a tenth too large."""
    return has_path_weights(lambda log_w: 1.1 * path_weights(bound, log_w))(lambda log_w: bound(log_w))


def _score_without_score(bound: Any) -> Any:
    def estimate(vae: Any, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        frozen = vae._replace(encode=lambda p, x: freeze(vae.encode(p, x)))
        return vj.total(bound)(frozen, params, key, x, num_samples=num_samples)

    return estimate


def _other_key_inside_jit(estimate: Any) -> Any:
    def wrong(vae: Any, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        traced = isinstance(key, jax.core.Tracer)
        return estimate(vae, params, jax.random.fold_in(key, traced), x, num_samples=num_samples)

    return wrong


def _retracing(bound: Any) -> Any:
    def estimate(vae: Any, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        vj.total(bound)(vae, params, key, x, num_samples=num_samples)
        return vj.total(bound)(vae, params, key, x, num_samples=num_samples)

    return estimate


def _loose(bound: Any) -> Any:
    return lambda log_w: bound(log_w) + 0.2


LAWS: list[Law] = []
_OF_FAMILIES: list[Law] = []
for _name, _bound in BOUNDS.items():
    _plain = check.total_of(_bound)
    _dreg = estimate_of("dreg", _name)
    LAWS += [
        Law(f"{_name} is a lower bound", check.is_lower_bound, _bound, lambda w, b=_bound: b(w) + 0.1),
        Law(f"{_name} is tight at the posterior", check.is_tight_at_the_posterior, _bound, _loose(_bound)),
        Law(
            f"dreg({_name}) is unbiased",
            lambda estimate, b=_bound: check.is_unbiased(estimate, b),
            _dreg,
            vj.dreg(_with_wrong_path_weights(_bound)),
        ),
        Law(
            f"score({_name}) is unbiased",
            lambda estimate, b=_bound: check.is_unbiased(estimate, b),
            vj.score(_bound),
            _score_without_score(_bound),
        ),
        Law(
            f"dreg({_name}) is quieter where q is wide, louder where narrow",
            check.is_quieter_where_wide_and_louder_where_narrow,
            (_dreg, _plain),
            (_plain, _plain),
        ),
    ]
for _name, _estimator in ESTIMATORS.items():
    LAWS += [
        Law(
            f"{_name} reports the value of the bound",
            check.reports_the_bound,
            _estimator,
            lambda bound, e=_estimator: lambda *a, **k: -e(bound)(*a, **k),
        ),
        Law(
            f"{_name}: jit = vmap = scan = eager",
            check.agrees_under_transformations,
            _estimator(vj.iwae),
            _other_key_inside_jit(_estimator(vj.iwae)),
        ),
    ]
for _name, _family in DISTRIBUTIONS.items():
    _other = _family.other or _perturbed(_family.value)
    _wrong = _family._replace(value=_Tilted(_family.value))
    _mutated = _family._replace(value=_Mutated(_family.value, _other))
    _OF_FAMILIES += [
        Law(f"{_name}: the density is the reference's", check.density_is_the_reference, _family, _wrong),
        Law(f"{_name}: samples have the density", check.samples_have_the_density, _family, _mutated),
        Law(f"{_name}: a sample knows its density", check.sample_knows_its_density, _family, _mutated),
    ]
    if jax.tree.leaves(_family.value):
        _OF_FAMILIES += [
            Law(f"{_name}: the score has mean zero", check.score_has_mean_zero, _family, _wrong),
            Law(f"{_name} freezes whole", check.freezes_whole, (_family, lambda d: d), (_family, _Leaky)),
        ]
    if _family.reparameterised:
        _OF_FAMILIES.append(
            Law(f"{_name}: full gradient = path + score", check.full_and_path_gradients, _family, _mutated)
        )
    if _family.extremes:
        _OF_FAMILIES.append(
            Law(
                f"{_name} is finite at extremes",
                check.is_finite_at_extremes,
                _family,
                _family._replace(extremes=(_naive_bernoulli,)),
            )
        )
LAWS += [law._replace(of_a_family=True) for law in _OF_FAMILIES]

LAWS += [
    Law("iwae rises with k to log p(x)", check.rises_to_log_marginal, vj.iwae, lambda w: jax.nn.logsumexp(w) - 0.5),
    Law(
        "renyi joins iwae and elbo",
        check.renyi_joins_iwae_and_elbo,
        vj.renyi,
        lambda alpha: vj.renyi(1.02 * alpha + 0.01),
    ),
    Law(
        "closed-form path weights are those of autodiff",
        check.has_these_path_weights,
        path_weights,
        lambda bound, log_w: jax.grad(bound)(log_w),
    ),
    Law(
        "miwae joins iwae and elbo",
        check.miwae_joins_iwae_and_elbo,
        vj.miwae,
        # Normalised over the wrong axis.
        lambda m: lambda log_w: jnp.mean(jax.nn.logsumexp(log_w.reshape(m, -1), axis=0)) - jnp.log(1.0 * m),
    ),
    Law(
        "piwae trains decoder and encoder by a bound each",
        check.trains_each_part_by_its_own_bound,
        vj.piwae,
        lambda generative, inference: vj.total(inference),
    ),
    Law("stl(elbo) sticks the landing", check.sticks_the_landing, vj.stl, vj.total),
    Law("dreg(elbo) sticks the landing", check.sticks_the_landing, vj.dreg, vj.score),
    Law(
        "stl(elbo) is unbiased",
        lambda estimate: check.is_unbiased(estimate, vj.elbo),
        vj.stl(vj.elbo),
        vj.dreg(_with_wrong_path_weights(vj.elbo)),
    ),
    Law("stl(iwae) is biased", check.stl_is_biased, vj.stl(vj.iwae), vj.dreg(vj.iwae)),
    Law("an estimate is traced once per shape", check.traces_once_per_shape, vj.total, _retracing),
    Law("estimators A and B agree, each quieter in its regime", check.a_and_b, vj.elbo_terms, _elbo_twice_the_kl),
    Law(
        "Fisher's identity",
        check.obeys_fishers_identity,
        lambda model, params: model.encode(params, X),
        lambda model, params: model.prior(params),
    ),
    Law(
        "the linear optimum is probabilistic PCA",
        check.optimum_is_probabilistic_pca,
        marginal,
        lambda d: marginal(d._replace(scale=1.05 * d.scale)),
    ),
    Law(
        "N/M of a minibatch estimates the sum over the data",
        check.estimates_the_sum_over_the_data,
        vj.full_data_bound,
        lambda bounds, dataset_size: bounds.sum(),
    ),
    Law(
        "a normal density integrates to one",
        check.integrates_to_one,
        lambda v: vj.DiagNormal(jnp.array([0.4]), jnp.array(1.3)).log_prob(v[None]),
        lambda v: vj.DiagNormal(jnp.array([0.4]), jnp.array(1.3)).log_prob(v[None]) + 0.01,
    ),
]
