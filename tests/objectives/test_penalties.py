import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import rel_entr

from vae_jax.objectives import penalties

CODES = jnp.array([[0.2, -0.5], [0.4, 0.1], [0.9, 0.3]])
X = jax.random.normal(jax.random.key(0), (3, 4))


def encode(x: jax.Array) -> jax.Array:
    return jnp.tanh(jnp.arange(8.0).reshape(2, 4) @ x)


def test_l1_is_the_mean_over_examples() -> None:
    np.testing.assert_allclose(penalties.l1(encode, CODES, X), np.abs(CODES).sum(1).mean(), rtol=1e-6)


def test_kl_sparsity_is_that_of_mean_activations() -> None:
    codes = jax.nn.sigmoid(CODES)
    mean = np.asarray(codes).mean(0)
    expected = (rel_entr(0.1, mean) + rel_entr(0.9, 1 - mean)).sum()
    np.testing.assert_allclose(penalties.kl_sparsity(0.1)(encode, codes, X), expected, rtol=1e-5)
    np.testing.assert_allclose(penalties.kl_sparsity(0.25)(encode, jnp.full((4, 2), 0.25), X), 0.0, atol=1e-6)


def test_kl_sparsity_is_finite_where_a_unit_is_always_on() -> None:
    value, slope = jax.value_and_grad(lambda c: penalties.kl_sparsity(0.1)(encode, c, X))(jnp.ones((4, 2)))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_contractive_is_the_frobenius_norm_of_the_jacobian() -> None:
    matrix = np.arange(8.0).reshape(2, 4)
    slopes = [np.diag(1 - np.tanh(matrix @ np.asarray(x)) ** 2) @ matrix for x in X]
    found = penalties.contractive(encode, CODES, X)
    np.testing.assert_allclose(found, np.mean([np.square(j).sum() for j in slopes]), rtol=1e-4)


def test_bad_codes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"l1: codes must have shape \(B, d\), got \(2,\)"):
        penalties.l1(encode, CODES[0], X)
    with pytest.raises(ValueError, match="at least 2 examples, got 1"):
        penalties.kl_sparsity(0.1)(encode, CODES[:1], X)


def test_a_unit_that_is_always_on_costs_a_finite_penalty_in_half_precision() -> None:
    codes = jnp.ones((4, 2), jnp.bfloat16)
    found = penalties.kl_sparsity(0.1)(lambda x: x, codes, codes)
    np.testing.assert_allclose(
        found, penalties.kl_sparsity(0.1)(lambda x: x, codes.astype(jnp.float32), codes), rtol=1e-5
    )
