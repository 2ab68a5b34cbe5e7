"""Student's t and the continuous Bernoulli against float64, over tables as wide as float32 goes."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special as sp
import scipy.stats

import vae_jax as vj
from tests.members import mean_and_error

DFS = np.float32(10.0 ** np.arange(-1.0, 30.01, 0.25))
DEVIATIONS = np.float32([0.0, 1e-3, 0.3, 1.0, -5.0, 100.0, 1e4])


def student(df: np.ndarray, z: np.ndarray) -> np.ndarray:
    """SciPy's, and for large df the normal with the first terms of its expansion in 1 / df."""
    with np.errstate(all="ignore"):
        small = scipy.stats.t.logpdf(z, np.minimum(df, 1e7))
        ratio = z * z / df
        share = np.where(ratio < 1e-4, 1 - ratio / 2 + ratio**2 / 3, np.log1p(ratio) / ratio)
    large = -1 / (4 * df) - 0.5 * np.log(2 * np.pi) - 0.5 * z * z * (1 + 1 / df) * share
    return np.where(df < 1e6, small, large)


def test_students_t_at_every_number_of_degrees_of_freedom() -> None:
    df, z = (part.ravel() for part in np.meshgrid(DFS, DEVIATIONS))
    loc, scale = np.float32(0.0), np.float32(1.0)
    log_prob = lambda df, z: vj.StudentT(df, jnp.asarray(loc), jnp.asarray(scale)).log_prob(z)
    found, (by_df, by_z) = jax.jit(jax.vmap(jax.value_and_grad(log_prob, argnums=(0, 1))))(df, z)
    df, z = df.astype(np.float64), z.astype(np.float64)
    np.testing.assert_allclose(found, student(df, z), rtol=2e-6, atol=3e-6)
    np.testing.assert_allclose(by_z, -(df + 1) * z / (df + z * z), rtol=1e-5, atol=1e-12)
    # In the logarithm of df, whose size it then has.
    q = z**2 / df
    gammas = np.where(df < 1e5, df * (sp.digamma((df + 1) / 2) - sp.digamma(df / 2)) - 1, 0.5 / df)
    bent = np.where(q < 1e-3, -0.5 * q * q + 2 / 3 * q**3, q / (1 + q) - np.log1p(q))
    exact = 0.5 * (gammas + df * bent + q / (1 + q))
    np.testing.assert_allclose(df * by_df, exact, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("df", [0.1, 1.0, 3.0, 1e3, 1e6, 1e10, 1e30, np.inf])
def test_samples_of_students_t(df: float) -> None:
    d = vj.StudentT(jnp.float32(df), jnp.float32(1.0), jnp.float32(2.0))
    drawn = np.asarray(d.sample(jax.random.key(0), (50_000,)), np.float64)
    # For df = 0.1 one value in a few thousand is above the largest float32.
    assert np.isfinite(drawn).mean() > 0.999
    law = scipy.stats.t(df) if df < 1e8 else scipy.stats.norm()
    assert scipy.stats.kstest((drawn - 1.0) / 2.0, law.cdf).pvalue > 1e-3
    slope = jax.grad(lambda df: vj.StudentT(df, d.loc, d.scale).sample(jax.random.key(0)))(jnp.float32(df))
    assert np.isfinite(slope)
    assert np.isfinite(d.log_prob(jnp.float32(0.3)))


@pytest.mark.parametrize("df", [0.7, 3.0, 20.0])
def test_a_sample_of_students_t_differentiates_in_its_degrees_of_freedom(df: float) -> None:
    """The mean of the derivative of tanh(v²) is the derivative of its mean, which is the quadrature."""

    def mean(df: float) -> float:
        density = lambda v: 2.0 * np.tanh(v * v) * scipy.stats.t.pdf(v, df)
        return sum(scipy.integrate.quad(density, *ends, epsabs=1e-12)[0] for ends in ((0.0, 3.0), (3.0, np.inf)))

    value = lambda df, key: jnp.tanh(jnp.square(vj.StudentT(df, jnp.float32(0.0), jnp.float32(1.0)).sample(key)))
    keys = jax.random.split(jax.random.key(0), 40_000)
    found = jax.jit(jax.vmap(jax.grad(value), in_axes=(None, 0)))(jnp.float32(df), keys)
    expected = (mean(1.001 * df) - mean(0.999 * df)) / (0.002 * df)
    level, error = mean_and_error(found)
    assert abs(level - expected) < 4 * error < 0.5 * abs(expected)


def test_continuous_bernoulli_at_every_logit() -> None:
    sizes = np.concatenate([[0.0], np.geomspace(1e-8, 1e3, 120), [0.999, 1.0, 1.001]])
    logits = np.float32(np.concatenate([sizes, -sizes]))
    values = np.float32([0.0, 1e-3, 0.3, 0.5, 0.9, 1.0])
    logits, values = (part.ravel() for part in np.meshgrid(logits, values))
    log_prob = lambda logit, v: vj.ContinuousBernoulli(logit).log_prob(v)
    found, slope = jax.jit(jax.vmap(jax.value_and_grad(log_prob)))(logits, values)
    mean = np.asarray(vj.ContinuousBernoulli(jnp.asarray(logits)).mean)
    logit, v = logits.astype(np.float64), values.astype(np.float64)
    size = np.abs(logit)
    distance = np.where(logit > 0, 1 - v, v)
    with np.errstate(all="ignore"):
        exact = np.where(size < 1e-6, size / 2, np.log(size / -np.expm1(-size))) - size * distance
        exact_mean = np.where(size < 1e-3, 0.5 + logit / 12, 1 / -np.expm1(-logit) - 1 / logit)
    np.testing.assert_allclose(found, exact, rtol=3e-7, atol=3e-7)
    np.testing.assert_allclose(mean, exact_mean, rtol=3e-7, atol=2e-7)
    np.testing.assert_allclose(slope, v - exact_mean, atol=3e-7)


def test_the_score_of_a_logit_of_zero() -> None:
    """Half way, where the logarithm of the normaliser has a corner in the way it is written, and none itself."""
    for value in (0.0, 1.0):
        for family in (vj.Bernoulli, vj.ContinuousBernoulli, lambda logits: vj.Binomial(logits, 1)):
            score = jax.grad(lambda logits, v, family=family: family(logits).log_prob(v))
            assert score(jnp.float32(0.0), jnp.float32(value)) == pytest.approx(value - 0.5)


def test_outside_of_0_to_1_there_is_no_intensity_and_no_nan() -> None:
    d = vj.ContinuousBernoulli(jnp.array([0.0, 3.0]))
    assert d.log_probs(jnp.array([-0.1, 0.5]))[0] == -jnp.inf
    assert np.isfinite(d.log_probs(jnp.array([1.0, 0.0]))).all()
    log_prob = lambda logit: vj.ContinuousBernoulli(logit[None]).log_prob(jnp.array([0.4]))
    chex.assert_tree_all_finite(jax.jit(jax.vmap(jax.value_and_grad(log_prob)))(jnp.array([-1e4, 0.0, 0.1, 1e4])))


@pytest.mark.parametrize("df", [1e-20, 0.5, 2.0, 1e4, 1e29, 1e30])
@pytest.mark.parametrize("offset", [0.0, 1e-3, 1.0, 1e4, 1e19, 1e30])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_student_t_is_right_however_far_out(df: float, offset: float, scale: float) -> None:
    # SciPy leaves float64 where the square does; mpmath's digits are not needed for a sum of logarithms.
    z = np.float64(offset) / scale
    share = np.logaddexp(0.0, 2.0 * np.log(z) - np.log(df)) if z > 0 else 0.0
    centre = scipy.stats.t.logpdf(0.0, min(df, 1e12)) if df > 1e-10 else np.log(df / 2.0) + 0.5 * np.log(1 / df)
    expected = centre - np.log(scale) - 0.5 * (df + 1.0) * share
    log_prob = lambda v: vj.StudentT(jnp.float32(df), jnp.float32(0.0), jnp.float32(scale)).log_prob(v)
    found, slope = jax.value_and_grad(log_prob)(jnp.float32(offset))
    if expected < -1e37:
        assert found < -1e36
    else:
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-4)
    assert not np.isnan(slope)


def test_a_sample_of_the_continuous_bernoulli_has_second_derivatives_where_it_is_flat() -> None:
    """Across the end of the series by which it is computed near a logit of 0."""
    draw = lambda logit: vj.ContinuousBernoulli(logit).sample(jax.random.key(3), (500,))
    curvature = jax.jit(jax.jacfwd(jax.jacfwd(draw)))
    # 1e-2 of the closed form, whose digits run out nearer to 0.
    for sign in (-1.0, 1.0):
        np.testing.assert_allclose(curvature(sign * 9e-4), curvature(sign * 0.05), atol=2e-3)
    assert np.abs(curvature(-9e-4)).max() > 0.02
