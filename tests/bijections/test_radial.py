"""The radial layer against the formulas of its paper, in float64."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.bijections.radial import Radial

CENTRE = np.array([0.4, -0.3, 0.1])
Z = np.array([1.2, 0.5, -0.8])
GRADIENT = np.array([1.0, -2.0, 0.5])


@jax.jit
def everything(layer: Radial, z: jax.Array, gradient: jax.Array) -> Any:
    """There, back, and a gradient pulled back, in one program for all layers."""
    y, log_det = layer.forward(z)
    return (y, log_det), layer.inverse(y), layer.solve_transposed(z, gradient)


@jax.jit
def slope(layer: Radial, z: jax.Array) -> Any:
    return jax.value_and_grad(lambda z: sum(map(jnp.sum, layer.forward(z))))(z)


def radial(log_alpha: float, beta: float) -> Radial:
    return Radial(jnp.asarray(CENTRE, jnp.float32), jnp.array(log_alpha), jnp.array(beta))


def of_the_paper(log_alpha: float, beta: float, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and its Jacobian, with β̂ = −α + softplus(β)."""
    alpha, offset = np.exp(log_alpha), z - CENTRE
    r, bent = np.linalg.norm(offset), np.log1p(np.exp(beta)) - np.exp(log_alpha)
    h = 1.0 / (alpha + r)
    jacobian = (1.0 + bent * h) * np.eye(z.size) - bent * h**2 * np.outer(offset, offset) / r
    return z + bent * h * offset, jacobian


@pytest.mark.parametrize("beta", [-3.0, 0.0, 2.5])
@pytest.mark.parametrize("log_alpha", [-1.5, -0.2, 1.0])
def test_it_is_that_of_the_paper(log_alpha: float, beta: float) -> None:
    expected, jacobian = of_the_paper(log_alpha, beta, Z)
    numbers = (jnp.asarray(part, jnp.float32) for part in (Z, GRADIENT))
    (y, log_det), (back, inverse_log_det), pulled = everything(radial(log_alpha, beta), *numbers)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    sign, expected_log_det = np.linalg.slogdet(jacobian)
    assert sign == 1.0
    np.testing.assert_allclose(log_det, expected_log_det, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(back, Z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(inverse_log_det, -expected_log_det, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(pulled, np.linalg.solve(jacobian.T, GRADIENT), rtol=1e-4, atol=1e-5)


def test_it_is_the_identity_where_softplus_of_beta_is_alpha() -> None:
    y, log_det = radial(0.5, float(np.log(np.expm1(np.exp(0.5))))).forward(jnp.asarray(Z, jnp.float32))
    np.testing.assert_allclose(y, Z, rtol=1e-6)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-6)


def test_the_centre_stays_and_what_is_far_is_moved_by_beta() -> None:
    layer = radial(0.0, 2.0)
    np.testing.assert_allclose(layer.forward(layer.centre)[0], CENTRE, rtol=1e-6)
    np.testing.assert_allclose(layer.inverse(layer.centre)[0], CENTRE, rtol=1e-6)
    far = jnp.array([1e4, 0.0, 0.0])
    moved = layer.forward(far)[0] - far
    np.testing.assert_allclose(moved[0], np.log1p(np.exp(2.0)) - 1.0, atol=2e-3)


@pytest.mark.parametrize(("log_alpha", "beta"), [(20.0, -20.0), (-20.0, 20.0)])
def test_it_stays_finite_at_extremes(log_alpha: float, beta: float) -> None:
    layer = Radial(jnp.zeros(3), jnp.array(log_alpha), jnp.array(beta))
    for z in (jnp.zeros(3), jnp.array([1e4, -1e4, 3.0])):
        chex.assert_tree_all_finite(slope(layer, z))


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Radial.forward.*shape \(3,\), got \(2, 3\)"):
        radial(0.0, 0.0).forward(jnp.zeros((2, 3)))


@pytest.mark.parametrize("name", ["log_alpha", "beta"])
def test_a_number_of_one_axis_is_refused(name: str) -> None:
    layer = Radial(**{"centre": jnp.zeros(3), "log_alpha": jnp.zeros(()), "beta": jnp.zeros(()), name: jnp.zeros(1)})
    for method in (layer.forward, layer.inverse):
        with pytest.raises(ValueError, match=rf"{name} must have 0 axes, got shape \(1,\)"):
            method(jnp.zeros(3))
