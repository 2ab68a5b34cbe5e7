"""The planar layer against the formulas of its paper, in float64."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.bijections.table import planar
from vae_jax.bijections.planar import Planar

Z = np.array([0.4, -1.3, 0.7])
GRADIENT = np.array([1.0, -2.0, 0.5])


@jax.jit
def everything(layer: Planar, z: jax.Array, gradient: jax.Array) -> Any:
    """There, back, and a gradient pulled back, in one program for all layers."""
    y, log_det = layer.forward(z)
    return (y, log_det), layer.inverse(y), layer.solve_transposed(z, gradient)


@jax.jit
def slope(layer: Planar, z: jax.Array) -> Any:
    return jax.value_and_grad(lambda z: sum(map(jnp.sum, layer.forward(z))))(z)


def of_the_paper(u: np.ndarray, w: np.ndarray, b: float, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and its Jacobian, with u moved along w until w · u = softplus(w · u) − 1."""
    along = w @ u
    u = u + (np.log1p(np.exp(along)) - 1.0 - along) * w / (w @ w)
    h = np.tanh(w @ z + b)
    return z + u * h, np.eye(z.size) + (1.0 - h**2) * np.outer(u, w)


@pytest.mark.parametrize("b", [-1.5, 0.0, 0.8])
@pytest.mark.parametrize("reach", [-4.0, -0.7, 0.0, 1.0, 6.0])
def test_it_is_that_of_the_paper_and_invertible_wherever_u_points(reach: float, b: float) -> None:
    w = np.array([0.6, -1.1, 0.4])
    u = reach * w + np.array([0.2, 0.5, 0.3])
    layer = Planar(*(jnp.asarray(part, jnp.float32) for part in (u, w, b)))
    expected, jacobian = of_the_paper(u, w, b, Z)
    numbers = (jnp.asarray(part, jnp.float32) for part in (Z, GRADIENT))
    (y, log_det), (back, inverse_log_det), pulled = everything(layer, *numbers)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    sign, expected_log_det = np.linalg.slogdet(jacobian)
    assert sign == 1.0
    np.testing.assert_allclose(log_det, expected_log_det, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(back, Z, atol=1e-3)
    np.testing.assert_allclose(inverse_log_det, -expected_log_det, rtol=1e-2, atol=1e-3)
    np.testing.assert_allclose(pulled, np.linalg.solve(jacobian.T, GRADIENT), rtol=1e-2, atol=1e-3)


def test_a_direction_of_zero_shifts_alone() -> None:
    layer = Planar(jnp.array([1.0, -2.0]), jnp.zeros(2), jnp.array(0.3))
    y, log_det = layer.forward(jnp.array([0.5, 0.5]))
    np.testing.assert_allclose(y, 0.5 + np.tanh(0.3) * np.array([1.0, -2.0]), rtol=1e-6)
    assert log_det == 0.0
    np.testing.assert_allclose(layer.inverse(y)[0], [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        Planar(1e3 * jnp.ones(3), -jnp.ones(3), jnp.array(0.0)),
        Planar(jnp.ones(3), jnp.zeros(3), jnp.array(0.0)),
    ],
)
def test_it_stays_finite_at_extremes(layer: Planar) -> None:
    for z in (jnp.zeros(3), jnp.array([1e4, -1e4, 3.0])):
        chex.assert_tree_all_finite(slope(layer, z))


def test_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Planar.forward.*shape \(3,\), got \(2, 3\)"):
        planar(1).forward(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"Planar.inverse.*shape \(3,\), got \(2, 3\)"):
        planar(1).inverse(jnp.zeros((2, 3)))


def test_a_number_of_one_axis_is_refused() -> None:
    layer = Planar(jnp.ones(3), jnp.ones(3), jnp.zeros(1))
    for method in (layer.forward, layer.inverse):
        with pytest.raises(ValueError, match=r"b must have 0 axes, got shape \(1,\)"):
            method(jnp.zeros(3))
