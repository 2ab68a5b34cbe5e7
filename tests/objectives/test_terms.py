import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params, mean_and_error, z_score
from vae_jax.models.linear_gaussian import LinearGaussian, exact_encoder, linear_gaussian, marginal

MODEL, PARAMS = linear_gaussian(), linear_gaussian_params(shift=0.2)


def test_terms_add_up_to_the_elbo_at_the_posterior() -> None:
    exact = linear_gaussian_params()
    keys = jax.random.split(jax.random.key(0), 20_000)
    terms = jax.vmap(lambda key: vj.elbo_terms(MODEL, exact, key, X))(keys)
    assert z_score(terms.log_likelihood - terms.kl, marginal(exact.decoder).log_prob(X)) < 4


def test_more_samples_quieten_the_likelihood_alone() -> None:
    keys = jax.random.split(jax.random.key(0), 2000)
    one, ten = (jax.vmap(lambda key, k=k: vj.elbo_terms(MODEL, PARAMS, key, X, num_samples=k))(keys) for k in (1, 10))
    assert ten.log_likelihood.std() == pytest.approx(float(one.log_likelihood.std()) / 10**0.5, rel=0.1)
    np.testing.assert_array_equal(one.kl, ten.kl)


def test_kl_has_one_term_per_dimension_where_it_factorises() -> None:
    diagonal = MODEL._replace(encode=lambda params, x: vj.DiagNormal(jnp.array([0.5, 0.0]), jnp.ones(2)))
    found = vj.elbo_terms(diagonal, PARAMS, jax.random.key(0), X).kl
    np.testing.assert_allclose(found, [0.125, 0.0], atol=1e-6)
    assert vj.elbo_terms(MODEL, PARAMS, jax.random.key(0), X).kl.shape == ()


@pytest.mark.parametrize("num_samples", [1, 5])
def test_sampled_terms_are_the_bound_in_two_and_their_kl_is_unbiased(num_samples: int) -> None:
    key, options = jax.random.key(0), {"num_samples": num_samples}
    terms = vj.sampled_terms(MODEL, PARAMS, key, X, **options)
    expected = vj.elbo(vj.log_weights(MODEL, PARAMS, key, X, **options))
    np.testing.assert_allclose(terms.log_likelihood - terms.kl, expected, rtol=1e-5)
    keys = jax.random.split(key, 20_000)
    drawn = jax.vmap(lambda key: vj.sampled_terms(MODEL, PARAMS, key, X, **options).kl)(keys)
    assert z_score(drawn, jnp.sum(vj.elbo_terms(MODEL, PARAMS, key, X).kl)) < 4


@pytest.mark.parametrize("terms", [vj.elbo_terms, vj.sampled_terms])
def test_one_draw_where_nothing_is_said(terms) -> None:
    key = jax.random.key(0)
    said = terms(MODEL, PARAMS, key, X, num_samples=1)
    np.testing.assert_array_equal(terms(MODEL, PARAMS, key, X).log_likelihood, said.log_likelihood)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        vj.elbo_terms(MODEL, PARAMS, jax.random.key(0), X, num_samples=0)


def test_the_three_forms_of_the_elbo_are_one() -> None:
    """On the linear-Gaussian model, where each of them has a closed form, with a q that is not the posterior."""
    decoder = linear_gaussian_params().decoder
    q = vj.FullNormal(jnp.array([0.4, -0.7]), jnp.array([[0.6, 0.0], [0.3, 0.5]]))
    prior, posterior = vj.standard_normal(2), linear_gaussian().encode(_exact(decoder), X)
    noise = jnp.sum((decoder.weight @ q.covariance) * decoder.weight) / decoder.scale**2
    told = vj.DiagNormal(decoder.weight @ q.loc + decoder.bias, decoder.scale * jnp.ones(3)).log_prob(X) - 0.5 * noise
    # E_q log p(z) and the entropy of q, by hand.
    of_prior = -0.5 * (jnp.trace(q.covariance) + q.loc @ q.loc) - jnp.log(2 * jnp.pi)
    entropy = 0.5 * jnp.linalg.slogdet(2 * jnp.pi * jnp.e * q.covariance)[1]
    with_entropy = told + of_prior + entropy
    with_kl = told - vj.kl(q, prior)
    with_gap = marginal(decoder).log_prob(X) - vj.kl(q, posterior)
    np.testing.assert_allclose([with_entropy, with_kl], [with_gap, with_gap], rtol=1e-5)
    # And the estimate has this expectation.
    model = linear_gaussian()._replace(encode=lambda p, x: q)
    keys = jax.random.split(jax.random.key(0), 20_000)
    one = lambda key: vj.elbo(vj.log_weights(model, linear_gaussian_params(), key, X, num_samples=1))
    mean, error = mean_and_error(jax.jit(jax.vmap(one))(keys))
    assert abs(mean - with_gap) < 4 * error


def _exact(decoder):
    return LinearGaussian(decoder, exact_encoder(decoder))
