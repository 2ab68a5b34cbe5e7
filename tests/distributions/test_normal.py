import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import vae_jax as vj
from tests.families import DISTRIBUTIONS


def test_the_upper_triangle_is_ignored_everywhere() -> None:
    clean, dirty = jnp.array([[0.8, 0.0], [-0.6, 1.1]]), jnp.array([[0.8, 5.0], [-0.6, 1.1]])
    a, b = vj.FullNormal(jnp.zeros(2), clean), vj.FullNormal(jnp.zeros(2), dirty)
    v = a.sample(jax.random.key(0))
    np.testing.assert_array_equal(v, b.sample(jax.random.key(0)))
    np.testing.assert_array_equal(a.log_prob(v), b.log_prob(v))
    np.testing.assert_array_equal(a.covariance, b.covariance)
    np.testing.assert_array_equal(vj.kl(a, vj.standard_normal(2)), vj.kl(b, vj.standard_normal(2)))


def test_moments_of_a_full_normal() -> None:
    d = DISTRIBUTIONS["FullNormal"].value
    draws = d.sample(jax.random.key(0), (100_000,))
    np.testing.assert_allclose(jnp.cov(draws.T), d.covariance, atol=0.02)
    np.testing.assert_allclose(d.stddev, jnp.sqrt(jnp.diagonal(d.covariance)), rtol=1e-6)


def test_reparameterize_broadcasts_and_differentiates() -> None:
    key = jax.random.key(0)
    z = vj.reparameterize(key, jnp.zeros(3), 2.0)
    eps = vj.reparameterize(key, jnp.zeros(3), jnp.ones(3))
    np.testing.assert_allclose(z, 2.0 * eps)
    slope = jax.grad(lambda s: vj.reparameterize(key, jnp.zeros(3), s).sum())(jnp.array(2.0))
    np.testing.assert_allclose(slope, eps.sum(), rtol=1e-6)


def test_normals_of_half_precision_have_the_law_of_a_normal() -> None:
    """Rounded once at the end: noise of 16 bits has a variance of 0.98, and ends at three standard deviations."""
    key, draws = jax.random.key(0), 400_000
    loc, one, tril = jnp.zeros(1, jnp.bfloat16), jnp.ones(1, jnp.bfloat16), jnp.ones((1, 1), jnp.bfloat16)
    keys = jax.random.split(key, draws)
    many = {
        "reparameterize": lambda: vj.reparameterize(key, jnp.zeros(draws, jnp.bfloat16), jnp.bfloat16(1.0)),
        "diagonal": lambda: vj.DiagNormal(loc, one).sample(key, (draws,)),
        "with its density": lambda: jax.vmap(lambda key: vj.DiagNormal(loc, one).sample_and_log_prob(key)[0])(keys),
        "full": lambda: vj.FullNormal(loc, tril).sample(key, (draws,)),
        "full, with its density": lambda: jax.vmap(lambda key: vj.FullNormal(loc, tril).sample_and_log_prob(key)[0])(
            keys
        ),
        "Student": lambda: vj.StudentT(jnp.bfloat16(1e5), loc, one).sample(key, (draws,)),
    }
    for name, draw in many.items():
        drawn = draw()
        assert drawn.dtype == jnp.bfloat16, name
        z = np.ravel(np.asarray(drawn, np.float64))
        assert abs(z.mean()) < 4.5 / np.sqrt(draws), name
        # Rounding to 8 bits adds about 4e-6 of the square.
        assert abs(np.square(z).mean() - 1.0) < 4.5 * np.sqrt(2.0 / draws) + 1e-5, name
        assert np.abs(z).max() > 4.0, name


def test_whole_numbers_of_python_are_parameters() -> None:
    key = jax.random.key(0)
    for whole, real in (
        (vj.DiagNormal(jnp.zeros(3), 1), vj.DiagNormal(jnp.zeros(3), 1.0)),
        (vj.DiagNormal(0, 2), vj.DiagNormal(0.0, 2.0)),
        (vj.StudentT(3, 0, 1), vj.StudentT(3.0, 0.0, 1.0)),
        (vj.ContinuousBernoulli(0), vj.ContinuousBernoulli(0.0)),
        (vj.Bernoulli(0), vj.Bernoulli(0.0)),
        (vj.Binomial(0, 5), vj.Binomial(0.0, 5)),
        (vj.Poisson(1), vj.Poisson(1.0)),
        (vj.NegativeBinomial(1, 0), vj.NegativeBinomial(1.0, 0.0)),
    ):
        drawn, expected = whole.sample(key), real.sample(key)
        np.testing.assert_array_equal(drawn, expected)
        assert drawn.dtype == expected.dtype
        np.testing.assert_array_equal(whole.mean, real.mean)
        np.testing.assert_array_equal(whole.log_prob(drawn), real.log_prob(drawn))


@pytest.mark.parametrize("scale", [1e-6, 0.3, 1e6])
def test_a_diagonal_normal_is_that_of_scipy_and_knows_the_density_of_its_sample(scale: float) -> None:
    loc = np.array([0.5, -2.0], np.float32)
    d = vj.DiagNormal(jnp.asarray(loc), jnp.array(scale))
    for away in (0.0, 1.0, -8.0):
        value = np.float32(loc + away * np.float32(scale))
        expected = scipy.stats.norm(np.float64(loc), np.float64(np.float32(scale))).logpdf(value)
        np.testing.assert_allclose(d.log_probs(jnp.asarray(value)), expected, rtol=2e-6, atol=2e-6)
        np.testing.assert_allclose(d.log_prob(jnp.asarray(value)), expected.sum(), rtol=2e-6, atol=2e-6)
    # By its noise: a value near 1 has no digits for a scale of a millionth.
    value, log_prob = d.sample_and_log_prob(jax.random.key(0))
    noise = jax.random.normal(jax.random.key(0), (2,), value.dtype)
    np.testing.assert_allclose(value, loc + scale * noise, rtol=1e-6)
    np.testing.assert_allclose(log_prob, scipy.stats.norm().logpdf(noise).sum() - 2 * np.log(scale), rtol=1e-5)


def test_one_scale_serves_all_dimensions() -> None:
    one, each = vj.DiagNormal(jnp.zeros(3), jnp.array(0.4)), vj.DiagNormal(jnp.zeros(3), jnp.full(3, 0.4))
    assert one.event_shape == (3,)
    np.testing.assert_array_equal(one.stddev, each.stddev)
    np.testing.assert_allclose(one.log_prob(jnp.ones(3)), each.log_prob(jnp.ones(3)), rtol=1e-6)
