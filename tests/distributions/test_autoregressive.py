"""Elements drawn one after the other, against the chain rule written out."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.tree_util import Partial

import vae_jax as vj


def bits_after_bits(params, v):
    """Bit j is on with the log-odds `bias_j + weight · (how many before it are on)`."""
    before = jnp.cumsum(jnp.ravel(v)) - jnp.ravel(v)
    return vj.Bernoulli((params["bias"] + params["weight"] * before).reshape(v.shape))


PARAMS = {"bias": jnp.array([0.3, -0.8, 0.5, 0.1]), "weight": jnp.array(0.9)}
BITS = vj.Autoregressive(Partial(bits_after_bits, PARAMS), (2, 2))


def test_the_density_is_the_product_of_the_conditionals_in_the_order_of_ravel() -> None:
    value = np.array([[1.0, 0.0], [1.0, 1.0]])
    flat, expected = value.ravel(), 0.0
    for j in range(4):
        odds = float(PARAMS["bias"][j]) + 0.9 * flat[:j].sum()
        expected += scipy.stats.bernoulli(1.0 / (1.0 + np.exp(-odds))).logpmf(flat[j])
    np.testing.assert_allclose(BITS.log_prob(jnp.asarray(value)), expected, rtol=1e-5)


def test_all_values_sum_to_one_and_samples_follow() -> None:
    values = jnp.array([[i >> j & 1 for j in range(4)] for i in range(16)], jnp.float32).reshape(16, 2, 2)
    probabilities = np.exp(jax.vmap(BITS.log_prob)(values))
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)
    drawn = np.asarray(jax.jit(lambda key: BITS.sample(key, (4000,)))(jax.random.key(0))).reshape(4000, 4)
    shares = np.bincount((drawn @ [1, 2, 4, 8]).astype(int), minlength=16) / 4000
    assert np.max(np.abs(shares - probabilities) / np.sqrt(probabilities / 4000)) < 4.5


def test_samples_are_of_the_kind_of_the_conditional() -> None:
    counts = vj.Autoregressive(Partial(lambda p, v: vj.Binomial(p + 0.0 * v, 5), jnp.zeros(3)), (3,))
    drawn = jax.eval_shape(lambda key: counts.sample(key, (5,)), jax.random.key(0))
    assert drawn.shape == (5, 3)
    assert jnp.issubdtype(drawn.dtype, jnp.integer)
    normals = vj.Autoregressive(Partial(lambda p, v: vj.DiagNormal(p * v, jnp.ones(3)), jnp.zeros(3)), (3,))
    assert (BITS.reparameterised, counts.reparameterised, normals.reparameterised) == (False, False, True)


EMBED = nn.Embed(3, 3)


def tokens_after_tokens(params, v):
    """The logits of a token are the embedding of the one before it, which takes integers alone."""
    return vj.Categorical(EMBED.apply(params, jnp.concatenate([jnp.zeros(1, v.dtype), v[:-1]])))


def test_tokens_may_be_embedded() -> None:
    params = {"params": {"embedding": jnp.array([[0.4, -0.3, 0.8], [-1.0, 0.2, 0.1], [0.3, 0.9, -0.5]])}}
    tokens = vj.Autoregressive(Partial(tokens_after_tokens, params), (3,))
    values = jnp.array(list(itertools.product(range(3), repeat=3)))
    probabilities = np.exp(jax.vmap(tokens.log_prob)(values))
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)
    drawn = np.asarray(jax.jit(lambda key: tokens.sample(key, (4000,)))(jax.random.key(0)))
    shares = np.bincount(drawn @ [9, 3, 1], minlength=27) / 4000
    assert np.max(np.abs(shares - probabilities) / np.sqrt(probabilities / 4000)) < 4.5
    assert not tokens.reparameterised
    vae = vj.VAE(
        encode=lambda p, x: vj.standard_normal(1),
        decode=lambda p, z: vj.Autoregressive(Partial(tokens_after_tokens, p), (3,)),
        prior=lambda p: vj.standard_normal(1),
    )
    found = vj.log_weights(vae, params, jax.random.key(0), values[5], num_samples=2)
    np.testing.assert_allclose(found, np.log(probabilities[5]), rtol=1e-5)


def test_relaxed_elements_become_bits_where_they_are_discrete() -> None:
    given = lambda bias, v: vj.RelaxedBernoulli(bias + jnp.cumsum(v) - v, jnp.array(0.5))
    drawn = vj.Autoregressive(Partial(given, jnp.zeros(3)), (3,)).discrete.sample(jax.random.key(0), (20,))
    assert set(np.unique(drawn)) == {0.0, 1.0}


def test_a_value_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Autoregressive.log_prob: value must be one event of shape \(2, 2\), got"):
        BITS.log_prob(jnp.zeros(4))
