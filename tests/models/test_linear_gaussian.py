import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sklearn.decomposition import PCA

import vae_jax as vj
from tests.members import X, linear_gaussian_decoder, linear_gaussian_params
from vae_jax.models.linear_gaussian import Decoder, LinearGaussian, em_step, exact_encoder, linear_gaussian, marginal


def test_marginal_against_scipy_and_bayes() -> None:
    decoder, params, model = linear_gaussian_decoder(), linear_gaussian_params(), linear_gaussian()
    p = marginal(decoder)
    np.testing.assert_allclose(
        p.log_prob(X), scipy.stats.multivariate_normal(p.mean, p.covariance).logpdf(X), rtol=1e-5
    )
    # Bayes' rule at any z: log p(x) = log p(z) + log p(x | z) − log p(z | x).
    z = jax.random.normal(jax.random.key(0), (2,))
    found = model.prior(params).log_prob(z) + model.decode(params, z).log_prob(X) - model.encode(params, X).log_prob(z)
    np.testing.assert_allclose(found, p.log_prob(X), rtol=1e-5)


DATA = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.4]) + 1.5


def mean_log_prob(decoder: Decoder) -> float:
    return float(jax.vmap(marginal(decoder).log_prob)(jnp.asarray(DATA, jnp.float32)).mean())


def test_expectation_maximisation_rises_to_principal_component_analysis() -> None:
    x = jnp.asarray(DATA, jnp.float32)
    decoder = Decoder(jax.random.normal(jax.random.key(0), (5, 2)), jnp.zeros(5), jnp.array(1.0))
    step, values = jax.jit(em_step), [mean_log_prob(decoder)]
    for _ in range(100):
        decoder = step(decoder, x)
        values.append(mean_log_prob(decoder))
    assert (np.diff(values) > -1e-4).all()
    np.testing.assert_allclose(values[-1], PCA(2).fit(DATA).score(DATA), atol=2e-3)
    np.testing.assert_allclose(decoder.bias, DATA.mean(axis=0), atol=0.02)


def test_a_step_of_it_maximises_the_elbo_of_the_vae_whose_encoder_is_the_posterior_before() -> None:
    x = jnp.asarray(DATA[:50], jnp.float32)
    before = Decoder(jax.random.normal(jax.random.key(1), (5, 2)), jnp.zeros(5), jnp.array(0.8))
    after = em_step(before, x)
    encoder = exact_encoder(before)

    def elbo(decoder: Decoder) -> jax.Array:
        def one(x):
            # In closed form: E log p(x | z) of a normal, and its KL.
            q = linear_gaussian().encode(LinearGaussian(decoder, encoder), x)
            noise = jnp.sum((decoder.weight @ q.covariance) * decoder.weight)
            p = vj.DiagNormal(decoder.weight @ q.loc + decoder.bias, decoder.scale * jnp.ones(5))
            return p.log_prob(x) - 0.5 * noise / decoder.scale**2 - vj.kl(q, vj.standard_normal(2))

        return jax.vmap(one)(x).mean()

    value, slope = jax.jit(jax.value_and_grad(elbo))(after)
    assert all(float(jnp.abs(leaf).max()) < 1e-3 for leaf in jax.tree.leaves(slope))
    assert value > elbo(before)
    # At the decoder before, the bound is log p(x): so where it rises, log p(x) rises with it.
    exact = jax.vmap(marginal(before).log_prob)(x).mean()
    np.testing.assert_allclose(elbo(before), exact, rtol=1e-4)


def test_data_of_another_rank_are_refused() -> None:
    with pytest.raises(ValueError, match="em_step: x must"):
        em_step(linear_gaussian_decoder(), jnp.zeros(3))
