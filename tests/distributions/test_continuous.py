"""Densities of intensities and of heavy tails, at parameters where a formula written down plainly has no digits."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.special import exprel

import vae_jax as vj

# Around 0 and around ±0.1, where the closed form gives way to a series, and far out.
LOGITS = [-1e4, -30.0, -2.5, -0.1001, -0.0999, -1e-4, 0.0, 1e-6, 0.05, 0.0999, 0.1001, 4.0, 60.0, 1e4]


def log_normaliser(logit: float) -> float:
    """log ∫₀¹ exp(l v) dv in float64: `exprel(l)` is (exp(l) − 1) / l."""
    return max(logit, 0.0) + np.log(exprel(-abs(logit)))


def mean(logit: float) -> float:
    """1 / (1 − exp(−l)) − 1 / l in float64, by its series where that has no digits."""
    if abs(logit) < 1e-2:
        return 0.5 + logit / 12.0 - logit**3 / 720.0
    return 0.5 + 0.5 / np.tanh(0.5 * logit) - 1.0 / logit


@pytest.mark.parametrize("logit", LOGITS)
def test_a_continuous_bernoulli_has_the_normaliser_and_the_mean_of_its_integral(logit: float) -> None:
    d, exact = vj.ContinuousBernoulli(jnp.array([logit])), np.float64(np.float32(logit))
    for v in (0.0, 0.3, 1.0):
        expected = exact * np.float64(np.float32(v)) - log_normaliser(exact)
        # Two numbers as large as the logit are subtracted.
        atol = 1e-6 + 1.2e-7 * abs(logit)
        np.testing.assert_allclose(d.log_prob(jnp.array([v])), expected, rtol=2e-6, atol=atol)
    np.testing.assert_allclose(d.mean, [mean(exact)], rtol=1e-5, atol=1e-6)


def test_outside_of_0_to_1_there_is_no_intensity_and_no_nan() -> None:
    d = vj.ContinuousBernoulli(jnp.array([0.0, 3.0]))
    assert d.log_probs(jnp.array([-0.1, 0.5]))[0] == -jnp.inf
    assert np.isfinite(d.log_probs(jnp.array([1.0, 0.0]))).all()
    log_prob = lambda logit: vj.ContinuousBernoulli(logit[None]).log_prob(jnp.array([0.4]))
    chex.assert_tree_all_finite(jax.jit(jax.vmap(jax.value_and_grad(log_prob)))(jnp.array(LOGITS)))


@pytest.mark.parametrize("df", [0.5, 1.0, 3.0, 50.0])
def test_a_student_t_is_that_of_scipy_far_into_its_tails(df: float) -> None:
    values = np.array([-1e4, -30.0, -1.0, 0.2, 5.0, 1e6])
    found = vj.StudentT(jnp.array(df), jnp.array(0.5), jnp.full(6, 2.0)).log_probs(jnp.asarray(values))
    np.testing.assert_allclose(found, scipy.stats.t(df, 0.5, 2.0).logpdf(values), rtol=1e-5)


def test_a_student_t_of_many_degrees_is_a_normal_and_has_its_centre_for_a_mean() -> None:
    values = jnp.array([-1.5, 0.0, 2.0])
    wide = vj.StudentT(jnp.array(1e4), jnp.array(0.5), jnp.full(3, 1.3))
    np.testing.assert_allclose(
        wide.log_probs(values), vj.DiagNormal(jnp.full(3, 0.5), jnp.array(1.3)).log_probs(values), atol=2e-3
    )
    np.testing.assert_array_equal(wide.mean, jnp.full(3, 0.5))
