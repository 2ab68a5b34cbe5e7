import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_decoder, linear_gaussian_params
from vae_jax.evaluate.gaps import inference_gaps, optimise_posterior
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

MODEL = linear_gaussian()


def test_a_family_that_holds_the_posterior_has_only_an_amortisation_gap() -> None:
    params = linear_gaussian_params(shift=0.4, width=0.7)
    found = jax.jit(lambda key: inference_gaps(MODEL, params, key, X))(jax.random.key(0))
    exact = marginal(linear_gaussian_decoder()).log_prob(X)
    posterior = MODEL.encode(linear_gaussian_params(), X)
    np.testing.assert_allclose(found.approximation, 0.0, atol=1e-3)
    np.testing.assert_allclose(found.optimised.value, exact, atol=1e-3)
    # log p(x) − ELBO is KL(q ‖ posterior).
    np.testing.assert_allclose(found.amortisation, vj.kl(MODEL.encode(params, X), posterior), atol=0.1)


def test_a_family_that_is_too_small_has_an_approximation_gap() -> None:
    params = linear_gaussian_params()
    diagonal = MODEL._replace(encode=lambda p, x: vj.DiagNormal(jnp.zeros(2), jnp.ones(2)))
    best = jax.jit(lambda key: optimise_posterior(diagonal, params, key, X))(jax.random.key(0))
    posterior = MODEL.encode(params, X)
    # The best diagonal normal has the mean and the diagonal precision of the posterior.
    precision = np.linalg.inv(np.asarray(posterior.covariance))
    np.testing.assert_allclose(best.mean, posterior.mean, atol=0.02)
    np.testing.assert_allclose(best.stddev, 1 / np.sqrt(np.diag(precision)), rtol=0.02)
    found = jax.jit(lambda key: inference_gaps(diagonal, params, key, X, num_samples=4000))(jax.random.key(0))
    np.testing.assert_allclose(found.approximation, vj.kl(best, posterior), atol=0.02)
    total = vj.kl(vj.standard_normal(2), posterior)
    np.testing.assert_allclose(found.approximation + found.amortisation, total, atol=0.1)


def test_an_isotropic_family_stays_isotropic_and_a_negative_diagonal_is_the_same_normal() -> None:
    params = linear_gaussian_params()
    isotropic = MODEL._replace(encode=lambda p, x: vj.DiagNormal(jnp.zeros(2), jnp.array(1.0)))
    best = jax.jit(lambda key: optimise_posterior(isotropic, params, key, X, num_steps=200))(jax.random.key(0))
    assert best.scale.shape == ()
    turned = vj.FullNormal(jnp.zeros(2), jnp.array([[-1.0, 0.0], [0.9, 0.5]]))
    same = MODEL._replace(encode=lambda p, x: turned)
    # One step of Adam moves every number by at most the learning rate.
    start = optimise_posterior(same, params, jax.random.key(0), X, num_steps=1, learning_rate=1e-6)
    np.testing.assert_allclose(start.covariance, turned.covariance, atol=1e-4)


def test_an_unknown_family_is_named() -> None:
    coin = MODEL._replace(encode=lambda p, x: vj.Bernoulli(jnp.zeros(2)))
    with pytest.raises(TypeError, match="must be one of DiagNormal, FullNormal, got Bernoulli"):
        optimise_posterior(coin, linear_gaussian_params(), jax.random.key(0), X)
