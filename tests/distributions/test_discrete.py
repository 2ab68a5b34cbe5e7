"""Bits, choices and counts: masses against SciPy's, moments, and what is no count."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import vae_jax as vj

COUNTS = np.arange(8)
LOGIT, RATE = 0.4, 1.1
SHARE = 1.0 / (1.0 + np.exp(-LOGIT))
# Mean μ and concentration r: SciPy's shape is r, and its probability r / (r + μ).
MEAN, CONCENTRATION = np.exp(RATE), np.exp(-0.6)


def row(number: float) -> jax.Array:
    return jnp.full(8, number)


FAMILIES: dict[str, tuple[Any, Any]] = {
    "Binomial": (vj.Binomial(row(LOGIT), 7), scipy.stats.binom(7, SHARE)),
    "Poisson": (vj.Poisson(row(RATE)), scipy.stats.poisson(np.exp(RATE))),
    "NegativeBinomial": (
        vj.NegativeBinomial(row(RATE), row(-0.6)),
        scipy.stats.nbinom(CONCENTRATION, CONCENTRATION / (CONCENTRATION + MEAN)),
    ),
}
families = pytest.mark.parametrize("name", FAMILIES)


@families
def test_masses_and_means_are_those_of_scipy(name: str) -> None:
    ours, theirs = FAMILIES[name]
    np.testing.assert_allclose(ours.log_probs(jnp.asarray(COUNTS)), theirs.logpmf(COUNTS), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.log_prob(jnp.asarray(COUNTS)), theirs.logpmf(COUNTS).sum(), rtol=1e-5)
    np.testing.assert_allclose(ours.mean, theirs.mean(), rtol=1e-5)


@families
def test_what_is_no_count_has_no_probability(name: str) -> None:
    ours, _ = FAMILIES[name]
    found = ours.log_probs(jnp.array([-1.0, 0.5, 0.0, 1.0, 2.0, 3.0, 6.5, 1e-3]))
    assert np.isneginf(found).tolist() == [True, True, False, False, False, False, True, True]
    if name == "Binomial":
        assert ours.log_probs(row(8.0))[0] == -jnp.inf


def test_a_negative_binomial_of_much_concentration_is_poisson() -> None:
    values = jnp.asarray(COUNTS)
    found = vj.NegativeBinomial(row(RATE), row(13.0)).log_probs(values)
    np.testing.assert_allclose(found, vj.Poisson(row(RATE)).log_probs(values), atol=1e-3)


def test_bits_are_told_one_by_one_and_together() -> None:
    logits, bits = jnp.array([[1e4, -1e4], [0.0, 2.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])
    d = vj.Bernoulli(logits)
    np.testing.assert_allclose(d.log_probs(bits), [[0.0, 0.0], [-np.log(2.0), -np.log1p(np.exp(2.0))]], rtol=1e-6)
    np.testing.assert_allclose(d.log_prob(bits), d.log_probs(bits).sum(), rtol=1e-6)
    assert d.log_prob(1.0 - bits) < -1e4


def test_choices_have_probabilities_a_mean_level_and_nothing_beyond_them() -> None:
    d = vj.Categorical(jnp.log(jnp.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])))
    np.testing.assert_allclose(d.probs, [[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(d.mean, [1.1, 2.0], rtol=1e-6)
    np.testing.assert_allclose(d.log_prob(jnp.array([1, 2])), np.log(0.5), rtol=1e-6)
    for beyond in (-1, 3):
        assert d.log_probs(jnp.array([beyond, 2]))[0] == -jnp.inf


def test_categorical_refuses_one_hot_values() -> None:
    with pytest.raises(TypeError, match=r"integers 0..2, got float\d\d.*jnp.argmax"):
        vj.Categorical(jnp.zeros((2, 3))).log_prob(jnp.zeros(2))


@pytest.mark.parametrize(("kind", "choices"), [(np.uint8, 256), (np.uint8, 300), (np.int8, 128), (np.int16, 40_000)])
def test_choices_may_be_numbers_of_few_bits(kind: Any, choices: int) -> None:
    d = vj.Categorical(jax.random.normal(jax.random.key(0), (3, choices)))
    value = np.array([0, 5, 100], kind)
    np.testing.assert_allclose(d.log_probs(value), d.log_probs(value.astype(np.int32)), rtol=0)
    assert np.isfinite(d.log_prob(value))


RARE = jnp.full(200_000, -6.9, jnp.bfloat16)
ONE_RARE = jnp.stack([jnp.zeros_like(RARE), RARE], axis=-1)
NARROW: dict[str, Any] = {
    "Bernoulli": vj.Bernoulli(RARE),
    "Categorical": vj.Categorical(ONE_RARE),
    "OneHotCategorical": vj.OneHotCategorical(ONE_RARE),
    "StraightThrough": vj.StraightThrough(vj.Concrete(ONE_RARE, jnp.array(0.7))),
    "ElementMixture": vj.ElementMixture(ONE_RARE, vj.Poisson(jnp.where(ONE_RARE < 0.0, 20.0, -20.0))),
}


@pytest.mark.parametrize("name", NARROW)
def test_what_is_rare_is_drawn_as_often_from_logits_of_half_precision(name: str) -> None:
    drawn = NARROW[name].sample(jax.random.key(0))
    rare = np.asarray(drawn[..., 1] if name in ("OneHotCategorical", "StraightThrough") else drawn > 0, np.float64)
    share = 1.0 / (1.0 + np.exp(-float(RARE[0])))
    assert abs(rare.mean() - share) < 4.5 * np.sqrt(share / RARE.size)
