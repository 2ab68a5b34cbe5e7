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
from tests.mutations import (
    Leaky,
    Mutated,
    Tilted,
    elbo_twice_the_kl,
    loose,
    naive_bernoulli,
    other_key_inside_jit,
    perturbed,
    retracing,
    score_without_score,
    with_wrong_path_weights,
)
from vae_jax.models.linear_gaussian import marginal
from vae_jax.objectives.bounds import path_weights


class Law(NamedTuple):
    """`check(right)` passes, `check(wrong)` raises AssertionError."""

    name: str
    check: Callable[[Any], None]
    right: Any
    wrong: Any
    of_a_family: bool = False


SINGLE = [
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
        vj.dreg(with_wrong_path_weights(vj.elbo)),
    ),
    Law("stl(iwae) is biased", check.stl_is_biased, vj.stl(vj.iwae), vj.dreg(vj.iwae)),
    Law("an estimate is traced once per shape", check.traces_once_per_shape, vj.total, retracing),
    Law("estimators A and B agree, each quieter in its regime", check.a_and_b, vj.elbo_terms, elbo_twice_the_kl),
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


def of_bounds() -> list[Law]:
    """Laws of every bound."""
    laws: list[Law] = []
    for name, bound in BOUNDS.items():
        plain = check.total_of(bound)
        dreg = estimate_of("dreg", name)
        laws += [
            Law(f"{name} is a lower bound", check.is_lower_bound, bound, lambda w, b=bound: b(w) + 0.1),
            Law(f"{name} is tight at the posterior", check.is_tight_at_the_posterior, bound, loose(bound)),
            Law(
                f"dreg({name}) is unbiased",
                lambda estimate, b=bound: check.is_unbiased(estimate, b),
                dreg,
                vj.dreg(with_wrong_path_weights(bound)),
            ),
            Law(
                f"score({name}) is unbiased",
                lambda estimate, b=bound: check.is_unbiased(estimate, b),
                vj.score(bound),
                score_without_score(bound),
            ),
            Law(
                f"dreg({name}) is quieter where q is wide, louder where narrow",
                check.is_quieter_where_wide_and_louder_where_narrow,
                (dreg, plain),
                (plain, plain),
            ),
        ]
    return laws


def of_estimators() -> list[Law]:
    """Laws of every gradient estimator."""
    laws: list[Law] = []
    for name, estimator in ESTIMATORS.items():
        laws += [
            Law(
                f"{name} reports the value of the bound",
                check.reports_the_bound,
                estimator,
                lambda bound, e=estimator: lambda *a, **k: -e(bound)(*a, **k),
            ),
            Law(
                f"{name}: jit = vmap = scan = eager",
                check.agrees_under_transformations,
                estimator(vj.iwae),
                other_key_inside_jit(estimator(vj.iwae)),
            ),
        ]
    return laws


def of_families() -> list[Law]:
    """Laws of every distribution."""
    laws: list[Law] = []
    for name, family in DISTRIBUTIONS.items():
        other = family.other or perturbed(family.value)
        wrong = family._replace(value=Tilted(family.value))
        mutated = family._replace(value=Mutated(family.value, other))
        laws += [
            Law(f"{name}: the density is the reference's", check.density_is_the_reference, family, wrong),
            Law(f"{name}: samples have the density", check.samples_have_the_density, family, mutated),
            Law(f"{name}: a sample knows its density", check.sample_knows_its_density, family, mutated),
        ]
        if jax.tree.leaves(family.value):
            laws += [
                Law(f"{name}: the score has mean zero", check.score_has_mean_zero, family, wrong),
                Law(f"{name} freezes whole", check.freezes_whole, (family, lambda d: d), (family, Leaky)),
            ]
        if family.reparameterised:
            laws.append(Law(f"{name}: full gradient = path + score", check.full_and_path_gradients, family, mutated))
        if family.extremes:
            laws.append(
                Law(
                    f"{name} is finite at extremes",
                    check.is_finite_at_extremes,
                    family,
                    family._replace(extremes=(naive_bernoulli,)),
                )
            )
    return [law._replace(of_a_family=True) for law in laws]


LAWS = [*of_bounds(), *of_estimators(), *of_families(), *SINGLE]
