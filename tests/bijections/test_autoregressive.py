"""The autoregressive layer, with a conditioner that is written out, against forward substitution in float64."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from vae_jax.bijections.autoregressive import AutoregressiveAffine

# Row j reads the coordinates before j; what stands on the diagonal and above is masked.
SHIFT = np.array([[9.0, 9.0, 9.0], [0.7, 9.0, 9.0], [-0.4, 1.2, 9.0]])
SCALE = np.array([[9.0, 9.0, 9.0], [-0.5, 9.0, 9.0], [0.8, 0.3, 9.0]])
BIAS = np.array([0.1, -0.3, 0.2])


def conditioner(params, z):
    shift, scale = (jnp.tril(params[name], -1) for name in ("shift", "scale"))
    return shift @ z + params["bias"], jnp.tanh(scale @ z - params["bias"])


PARAMS = {name: jnp.asarray(part, jnp.float32) for name, part in (("shift", SHIFT), ("scale", SCALE), ("bias", BIAS))}
LAYER = AutoregressiveAffine(Partial(conditioner, PARAMS))
Z = np.array([0.6, -1.1, 0.9])


def by_hand(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(shift, log_scale)` in float64."""
    return np.tril(SHIFT, -1) @ z + BIAS, np.tanh(np.tril(SCALE, -1) @ z - BIAS)


def test_each_coordinate_is_moved_as_those_before_it_say() -> None:
    shift, log_scale = by_hand(Z)
    y, log_det = LAYER.forward(jnp.asarray(Z, jnp.float32))
    np.testing.assert_allclose(y, shift + np.exp(log_scale) * Z, rtol=1e-5)
    np.testing.assert_allclose(log_det, log_scale.sum(), rtol=1e-5)
    jacobian = jax.jacobian(lambda z: LAYER.forward(z)[0])(jnp.asarray(Z, jnp.float32))
    np.testing.assert_array_equal(jnp.triu(jacobian, 1), 0.0)
    np.testing.assert_allclose(jnp.diagonal(jacobian), np.exp(log_scale), rtol=1e-5)


def test_the_inverse_is_that_of_forward_substitution() -> None:
    y = np.array([0.5, 2.0, -1.0])
    z = np.zeros(3)
    for j in range(3):
        shift, log_scale = by_hand(z)
        z[j] = (y[j] - shift[j]) * np.exp(-log_scale[j])
    found, log_det = LAYER.inverse(jnp.asarray(y, jnp.float32))
    np.testing.assert_allclose(found, z, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(log_det, -by_hand(z)[1].sum(), rtol=1e-4)


def test_a_gradient_is_pulled_back_without_the_inverse() -> None:
    z, gradient = jnp.asarray(Z, jnp.float32), jnp.array([1.0, -2.0, 0.5], jnp.float32)
    jacobian = np.asarray(jax.jacobian(lambda z: LAYER.forward(z)[0])(z), np.float64)
    expected = np.linalg.solve(jacobian.T, np.asarray(gradient))
    np.testing.assert_allclose(LAYER.solve_transposed(z, gradient), expected, rtol=1e-4)


def test_with_outputs_of_zero_it_is_the_identity() -> None:
    layer = AutoregressiveAffine(lambda z: (jnp.zeros_like(z), jnp.zeros_like(z)))
    z = jnp.asarray(Z, jnp.float32)
    for side in (layer.forward, layer.inverse):
        same, log_det = side(z)
        np.testing.assert_array_equal(same, z)
        assert log_det == 0.0


def test_one_scale_for_all_counts_once_for_each() -> None:
    layer = AutoregressiveAffine(lambda z: (jnp.zeros(3), jnp.full(1, 0.5)))
    y, log_det = layer.forward(jnp.asarray(Z, jnp.float32))
    np.testing.assert_allclose(log_det, 1.5, rtol=1e-6)
    z, inverse = layer.inverse(y)
    np.testing.assert_allclose(z, Z, rtol=1e-5)
    np.testing.assert_allclose(inverse, -1.5, rtol=1e-6)
    # Of y = e^½ z the transposed equation has e^-½ times the gradient.
    np.testing.assert_allclose(layer.solve_transposed(z, jnp.ones(3)), np.full(3, np.exp(-0.5)), rtol=1e-5)
