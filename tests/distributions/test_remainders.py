"""Remainders against float64, where the functions themselves have lost all digits of them."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special as sp

from vae_jax.distributions.remainders import exp_remainder, log_gamma_step, log_ratio, stirling_remainder

SIZES = np.geomspace(1e-3, 1e7, 200).astype(np.float32)


def test_what_is_left_of_the_exponential() -> None:
    u = np.concatenate([-SIZES[SIZES < 50], SIZES[SIZES < 50]])
    exact = u.astype(np.float64)
    expected = np.where(np.abs(exact) < 1e-2, exact**2 / 2 + exact**3 / 6 + exact**4 / 24, np.expm1(exact) - exact)
    np.testing.assert_allclose(exp_remainder(jnp.asarray(u)), expected, rtol=3e-6)


def test_what_is_left_of_the_gamma_function() -> None:
    x = SIZES.astype(np.float64)
    near = x < 1e4
    plain = sp.gammaln(x + 1) - (x + 0.5) * np.log(x) + x - 0.5 * np.log(2 * np.pi)
    found = np.asarray(stirling_remainder(jnp.asarray(SIZES)))
    np.testing.assert_allclose(found[near], plain[near], rtol=2e-5, atol=3e-6)
    np.testing.assert_allclose(found[~near], 1 / (12 * x[~near]), rtol=1e-5)
    step = np.asarray(log_gamma_step(jnp.asarray(SIZES)))
    plain = sp.gammaln(x + 0.5) - sp.gammaln(x) - 0.5 * np.log(x)
    np.testing.assert_allclose(step[near], plain[near], rtol=2e-5, atol=3e-6)
    np.testing.assert_allclose(step[~near], -1 / (8 * x[~near]), rtol=1e-5)


def test_a_ratio_of_nearly_equal_numbers_keeps_its_digits_and_its_derivative() -> None:
    b = SIZES[SIZES > 2]
    log_a = np.log(b.astype(np.float64)).astype(np.float32)
    expected = log_a.astype(np.float64) - np.log(b.astype(np.float64))
    np.testing.assert_allclose(log_ratio(jnp.asarray(log_a), jnp.asarray(b)), expected, atol=1e-7)
    slope = jax.vmap(jax.grad(log_ratio, argnums=1))(jnp.asarray(log_a), jnp.asarray(b))
    np.testing.assert_allclose(slope, -1.0 / b, rtol=1e-6)
