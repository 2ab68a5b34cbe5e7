import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import vae_jax as vj
from tests.members import linear_gaussian_decoder, linear_gaussian_params
from vae_jax.evaluate.elbo_surgery import bits_per_dimension, coding, joint_kl, marginal_kl
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

# Three of the four patterns of two bits, three states of z: everything can be summed.
X = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
POSTERIOR = jnp.array([[2.0, 0.0, -1.0], [0.3, 0.1, 0.0], [-1.0, 0.5, 1.5]])
LIKELIHOOD = jnp.array([[-1.5, -2.0], [1.0, -0.7], [0.8, 1.4]])
PRIOR = jnp.array([0.2, 0.5, -0.4])
DISCRETE = vj.VAE(
    encode=lambda params, x: vj.Categorical(POSTERIOR[jnp.int32(x.sum())]),
    decode=lambda params, z: vj.Bernoulli(LIKELIHOOD[z]),
    prior=lambda params: vj.Categorical(PRIOR),
)


def kl(q, p) -> float:
    return float(np.sum(q * (np.log(q) - np.log(p))))


def test_every_decomposition_by_enumeration() -> None:
    q_z_given_x = np.asarray(jax.nn.softmax(POSTERIOR), np.float64)
    p_z = np.asarray(jax.nn.softmax(PRIOR), np.float64)
    bits = jax.vmap(lambda z: jax.vmap(DISCRETE.decode(None, z).log_prob)(X))(jnp.arange(3))
    p_x_given_z = np.exp(np.asarray(bits.T, np.float64))
    q, p = q_z_given_x / 3, p_x_given_z * p_z
    q_z, p_x = q.sum(axis=0), p.sum(axis=1)

    found = coding(DISCRETE, None, jax.random.key(0), X, num_samples=100_000)
    rate = np.mean([kl(row, p_z) for row in q_z_given_x])
    distortion = -np.sum(q * np.log(p_x_given_z))
    index_code = kl(q, q_z * np.full((3, 1), 1 / 3))
    expected = [rate, distortion, index_code, kl(q_z, p_z)]
    np.testing.assert_allclose(found[:4], expected, atol=0.01)
    np.testing.assert_allclose(found.rate, found.index_code + found.marginal_kl, rtol=1e-5)
    # Three examples, of each of which so many draws say all: the errors are of their choice alone.
    log_q, log_mixture, log_p = np.log(q_z_given_x), np.log(q_z), np.log(p_z)
    terms = np.stack([log_q - log_p, -np.log(p_x_given_z), log_q - log_mixture, 0 * log_q + log_mixture - log_p])
    errors = scipy.stats.sem(np.sum(q_z_given_x * terms, axis=2), axis=1)
    np.testing.assert_allclose(found.standard_errors, errors, atol=0.01)
    assert (errors > 0.05).all()

    # The model gives the fourth pattern a probability too, so these sums run over the three seen ones.
    split = joint_kl(found, np.log(p_x).mean(), num_examples=3)
    np.testing.assert_allclose(split.joint, kl(q, p), atol=0.01)
    np.testing.assert_allclose(split.data, kl(np.full(3, 1 / 3), p_x), atol=0.01)
    posterior_x = p / p_x[:, None]
    np.testing.assert_allclose(split.posterior, np.sum(q * np.log(q_z_given_x / posterior_x)), atol=0.01)
    np.testing.assert_allclose(split.latent, kl(q_z, p_z), atol=0.01)
    np.testing.assert_allclose(split.conditional, np.sum(q * np.log(q / q_z / p_x_given_z)), atol=0.01)
    np.testing.assert_allclose(split.joint, split.data + split.posterior, atol=1e-5)
    np.testing.assert_allclose(split.joint, split.latent + split.conditional, atol=1e-5)


def test_rate_and_distortion_of_the_linear_gaussian_model() -> None:
    model, params = linear_gaussian(), linear_gaussian_params()
    x = marginal(linear_gaussian_decoder()).sample(jax.random.key(0), (2000,))
    found = jax.jit(lambda x: coding(model, params, jax.random.key(1), x))(x)
    exact = jax.vmap(lambda x: vj.kl(model.encode(params, x), model.prior(params)))(x).mean()
    assert abs(found.rate - exact) < 4 * found.standard_errors[0]
    # The encoder is exact and the data are the model's own, so q(z) is the prior up to 2,000 examples.
    assert abs(found.marginal_kl) < 0.02
    log_p = jax.vmap(marginal(linear_gaussian_decoder()).log_prob)(x)
    np.testing.assert_allclose(-found.rate - found.distortion, log_p.mean(), rtol=1e-4)
    halves = coding(model, params, jax.random.key(1), x[:50], batch_size=7)
    whole = coding(model, params, jax.random.key(1), x[:50], batch_size=50)
    np.testing.assert_allclose(halves.rate, whole.rate, rtol=1e-5)


def test_the_marginal_kl_of_known_mixtures() -> None:
    # Narrow posteriors on a line z1 = z0, whose density along each axis is the prior's: all is total correlation.
    z = jax.random.normal(jax.random.key(0), (4000, 1)) * jnp.sqrt(1 - 0.1**2)
    line = vj.DiagNormal(jnp.concatenate([z, z], axis=1), jnp.full((4000, 2), 0.1))
    prior = vj.standard_normal(2)
    found = jax.jit(lambda q: marginal_kl(q, prior, jax.random.key(1)))(line)
    # A normal with correlation 0.99.
    np.testing.assert_allclose(found.total_correlation, -0.5 * np.log(1 - 0.99**2), atol=0.06)
    np.testing.assert_allclose(found.dimension_wise, [0.0, 0.0], atol=0.02)
    # Independent but too wide: all is dimension-wise.
    wide = vj.DiagNormal(1.9 * jax.random.normal(jax.random.key(2), (4000, 2)), jnp.full((4000, 2), 0.6))
    found = jax.jit(lambda q: marginal_kl(q, prior, jax.random.key(1)))(wide)
    sd = np.hypot(1.9, 0.6)
    np.testing.assert_allclose(found.dimension_wise, 0.5 * (sd**2 - 1) - np.log(sd), atol=0.15)
    np.testing.assert_allclose(found.total_correlation, 0.0, atol=0.05)
    # The sum is what `coding` finds for the same posteriors.
    model = vj.VAE(
        lambda p, x: vj.DiagNormal(x, 0.6 * jnp.ones(2)), lambda p, z: vj.DiagNormal(z, jnp.ones(2)), lambda p: prior
    )
    whole = jax.jit(lambda x: coding(model, None, jax.random.key(3), x))(wide.loc)
    total = found.total_correlation + found.dimension_wise.sum()
    assert abs(whole.marginal_kl - total) < 0.1


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="posteriors must be DiagNormal, got FullNormal, which does not factorise"):
        marginal_kl(vj.FullNormal(jnp.zeros((3, 2)), jnp.ones((3, 2, 2))), vj.standard_normal(2), jax.random.key(0))
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        coding(DISCRETE, None, jax.random.key(0), X, num_samples=0)
    with pytest.raises(ValueError, match="coding: .*the dataset is empty"):
        coding(DISCRETE, None, jax.random.key(0), X[:0])
    none = vj.DiagNormal(jnp.zeros((0, 2)), jnp.ones((0, 2)))
    with pytest.raises(ValueError, match="marginal_kl: .*the dataset is empty"):
        marginal_kl(none, vj.standard_normal(2), jax.random.key(0))


def test_bits_per_dimension() -> None:
    # A fair coin for each pixel costs one bit.
    np.testing.assert_allclose(bits_per_dimension(-np.log(2.0) * 64, (8, 8, 1)), 1.0)
