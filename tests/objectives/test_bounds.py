import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import BOUNDS
from vae_jax.objectives.bounds import has_path_weights, path_weights

rows = pytest.mark.parametrize("name", BOUNDS)


@rows
def test_a_batch_is_refused_with_the_right_call(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"log_w must have shape \(k,\) with k >= 1, got \(32, 8\). For a batch: jax.vmap"
    ):
        BOUNDS[name](jnp.zeros((32, 8)))
    with pytest.raises(ValueError, match=r"got \(0,\)"):
        BOUNDS[name](jnp.zeros(0))


@pytest.mark.parametrize("name", [name for name in BOUNDS if name != "miwae(2)"])
def test_one_sample_is_the_log_weight_itself(name: str) -> None:
    np.testing.assert_allclose(BOUNDS[name](jnp.array([-3.25])), -3.25, rtol=1e-6)


@rows
def test_equal_weights_and_a_shift(name: str) -> None:
    log_w = jnp.array([-1.0, 2.0, 0.3, -0.2])
    np.testing.assert_allclose(BOUNDS[name](jnp.full(6, -7.0)), -7.0, rtol=1e-6)
    np.testing.assert_allclose(BOUNDS[name](log_w + 10.0), BOUNDS[name](log_w) + 10.0, rtol=1e-5)


@rows
def test_finite_with_its_gradient_at_extremes(name: str) -> None:
    for log_w in (jnp.array([1e4, -1e4, 0.0, 1.0]), jnp.array([-1e6, -1e6 - 1, -1e6 + 3, -1e6])):
        value, slope = jax.value_and_grad(BOUNDS[name])(log_w)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()
        np.testing.assert_allclose(slope.sum(), 1.0, rtol=1e-5)
        assert np.isfinite(path_weights(BOUNDS[name], log_w)).all()


def test_bounds_are_ordered_by_alpha() -> None:
    log_w = jax.random.normal(jax.random.key(0), (50,)) * 3
    found = [vj.renyi(alpha)(log_w) for alpha in (-1.0, 0.0, 0.3, 0.9, 0.9999, 1.0, 1.1, 2.0, 10.0)]
    assert all(a >= b - 1e-4 for a, b in zip(found, found[1:], strict=False))


def test_miwae_and_ciwae_are_between_elbo_and_iwae() -> None:
    for seed in range(5):
        log_w = 3.0 * jax.random.normal(jax.random.key(seed), (12,))
        for between in (vj.miwae(2), vj.miwae(4), vj.ciwae(0.2), vj.ciwae(0.8)):
            assert vj.elbo(log_w) < between(log_w) < vj.iwae(log_w)


def test_a_weight_of_zero() -> None:
    log_w = jnp.array([-jnp.inf, 0.0, -1.0])
    np.testing.assert_allclose(vj.renyi(0.0)(log_w), vj.iwae(log_w), rtol=1e-6)
    np.testing.assert_allclose(vj.renyi(0.5)(log_w), 2 * np.log((1 + np.exp(-0.5)) / 3), rtol=1e-5)


def test_at_alpha_one_a_weight_of_zero_is_that_of_the_elbo() -> None:
    log_w = jnp.array([-jnp.inf, 0.0, -1.0])
    assert vj.renyi(1.0)(log_w) == vj.elbo(log_w) == -jnp.inf
    assert vj.renyi(2.0)(log_w) == -jnp.inf


@rows
def test_log_weights_may_be_whole_numbers(name: str) -> None:
    whole = jnp.array([0, 2, -3, 1])
    np.testing.assert_allclose(BOUNDS[name](whole), BOUNDS[name](whole.astype(float)), rtol=1e-6)


@pytest.mark.parametrize("log_w", [[1.0, 2.0, -0.5], [3.0, 3.0, 3.0], [0.0, -np.inf, 1.0], [0.0, 1e25, -1e25]])
def test_the_slope_by_alpha_at_one_is_half_the_variance_taken_away(log_w: list[float]) -> None:
    value, slope = jax.value_and_grad(lambda alpha: vj.renyi(alpha)(jnp.array(log_w)))(1.0)
    np.testing.assert_allclose(value, np.mean(log_w), rtol=1e-6)
    if np.ptp(log_w) < 10:
        np.testing.assert_allclose(slope, -0.5 * np.var(log_w), rtol=1e-6)


def test_alpha_must_be_finite() -> None:
    with pytest.raises(ValueError, match="alpha must be finite, got nan"):
        vj.renyi(float("nan"))


def test_groups_must_divide_the_samples() -> None:
    with pytest.raises(ValueError, match="2 groups need a multiple of 2 samples, got 3"):
        vj.miwae(2)(jnp.zeros(3))
    with pytest.raises(ValueError, match="num_groups must be at least 1, got 0"):
        vj.miwae(0)
    with pytest.raises(ValueError, match="beta must be between 0"):
        vj.ciwae(1.5)


def test_a_bound_of_ones_own_needs_no_closed_form() -> None:
    def mixed(log_w):
        return 0.3 * vj.elbo(log_w) + 0.7 * vj.iwae(log_w)

    log_w = jnp.array([-1.0, 0.5, 0.3])
    expected = 0.3 * path_weights(vj.elbo, log_w) + 0.7 * path_weights(vj.iwae, log_w)
    np.testing.assert_allclose(path_weights(mixed, log_w), expected, atol=1e-6)
    attached = has_path_weights(lambda log_w: log_w)(lambda log_w: log_w.sum())
    np.testing.assert_array_equal(path_weights(attached, log_w), log_w)


def test_a_bound_that_wraps_another_has_path_weights_of_its_own() -> None:
    @functools.wraps(vj.iwae)
    def half(log_w):
        return 0.5 * vj.iwae(log_w)

    log_w = jnp.array([-1.0, 0.5, 0.3])
    np.testing.assert_allclose(path_weights(half, log_w), 0.5 * path_weights(vj.iwae, log_w), rtol=1e-5)


@pytest.mark.parametrize("log_w", [(-jnp.inf, 0.0, -1.0), (-jnp.inf,) * 3, (-jnp.inf,)])
def test_the_ends_of_a_family_hold_with_weights_of_zero(log_w: tuple[float, ...]) -> None:
    log_w = jnp.asarray(log_w)
    pairs = ((vj.ciwae(0.0), vj.iwae), (vj.ciwae(1.0), vj.elbo), (vj.renyi(0.0), vj.iwae), (vj.renyi(1.0), vj.elbo))
    for end, expected in pairs:
        np.testing.assert_allclose(end(log_w), expected(log_w), rtol=1e-6)
    for between in (vj.ciwae(0.5), vj.miwae(1), vj.renyi(0.5), vj.renyi(2.0)):
        assert not jnp.isnan(between(log_w))
