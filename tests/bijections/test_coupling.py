"""Couplings: the affine one in closed form, and the spline at its knots, between them and beyond."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.bijections.table import BIJECTIONS
from vae_jax.bijections.bijection import Bijection
from vae_jax.bijections.coupling import AffineCoupling, SplineCoupling

BOUND = 2.5
# Two free coordinates, K = 3 pieces: widths, heights, and the slopes at the two inner knots.
RAW = np.array([[0.5, -0.3, 0.1, 1.0, 0.0, -0.4, 0.7, -1.0], [0.0, 0.9, -0.6, -0.2, 0.4, 0.3, -0.5, 2.0]])
SPLINE = SplineCoupling(lambda fixed: jnp.asarray(RAW, jnp.float32), bound=BOUND)
forward, inverse = jax.jit(SPLINE.forward), jax.jit(SPLINE.inverse)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_first_half_passes_and_says_how_the_other_is_moved(size: int) -> None:
    fixed, free = size // 2, size - size // 2

    def conditioner(fixed):
        return jnp.full(free, 2.0 * fixed.sum()), jnp.linspace(-0.5, 0.7, free)

    z = np.linspace(-1.0, 2.0, size)
    y, log_det = AffineCoupling(conditioner).forward(jnp.asarray(z, jnp.float32))
    log_scale = np.linspace(-0.5, 0.7, free)
    np.testing.assert_allclose(y[:fixed], z[:fixed], rtol=1e-6)
    np.testing.assert_allclose(y[fixed:], 2.0 * z[:fixed].sum() + np.exp(log_scale) * z[fixed:], rtol=1e-5)
    np.testing.assert_allclose(log_det, log_scale.sum(), rtol=1e-5)
    back, inverse_log_det = AffineCoupling(conditioner).inverse(y)
    np.testing.assert_allclose(back, z, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(inverse_log_det, -log_det, rtol=1e-6)


def knots() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y and slopes `[2, 4]` at the knots, of the raw numbers, in float64: the least share and slope are 1%."""

    def places(raw: np.ndarray) -> np.ndarray:
        shares = 0.01 / 3 + 0.99 * np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
        return BOUND * (2.0 * np.cumsum(np.pad(shares, ((0, 0), (1, 0))), axis=1) - 1.0)

    slopes = 0.01 + 0.99 * np.log1p(np.exp(RAW[:, 6:])) / np.log(2.0)
    return places(RAW[:, :3]), places(RAW[:, 3:6]), np.pad(slopes, ((0, 0), (1, 1)), constant_values=1.0)


def test_the_spline_goes_through_its_knots_with_their_slopes() -> None:
    x, y, slopes = knots()
    for i in range(1, 3):
        found, log_det = forward(jnp.asarray([0.3, *x[:, i]], jnp.float32))
        np.testing.assert_allclose(found, [0.3, *y[:, i]], atol=1e-5)
        np.testing.assert_allclose(log_det, np.log(slopes[:, i]).sum(), atol=1e-4)
        back, inverse_log_det = inverse(jnp.asarray([0.3, *y[:, i]], jnp.float32))
        np.testing.assert_allclose(back, [0.3, *x[:, i]], atol=1e-5)
        np.testing.assert_allclose(inverse_log_det, -np.log(slopes[:, i]).sum(), atol=1e-4)


def test_the_spline_rises_and_is_the_identity_beyond_its_bound() -> None:
    def along(v):
        return SPLINE.forward(jnp.stack([0.3, v, v]))

    line = np.linspace(-1.6 * BOUND, 1.6 * BOUND, 401, dtype=np.float32)
    found, log_dets = jax.jit(jax.vmap(along))(line)
    assert (jnp.diff(found[:, 1:], axis=0) > 0.0).all()
    beyond = np.abs(line) >= BOUND
    np.testing.assert_array_equal(found[beyond, 1], line[beyond])
    np.testing.assert_array_equal(log_dets[beyond], 0.0)
    # The log-determinant is that of the two slopes.
    slopes = jax.jit(jax.vmap(jax.jacfwd(lambda v: along(v)[0])))(line)[:, 1:]
    np.testing.assert_allclose(log_dets, np.log(slopes).sum(axis=1), atol=1e-4)


def test_with_outputs_of_zero_the_spline_is_the_identity() -> None:
    layer = SplineCoupling(lambda fixed: jnp.zeros((2, 8)), bound=BOUND)
    forward = jax.jit(layer.forward)
    for v in (-3.0, -2.4, -0.1, 0.0, 1.7, BOUND / 3):
        y, log_det = forward(jnp.array([0.3, v, -v]))
        np.testing.assert_allclose(y, [0.3, v, -v], atol=1e-6)
        np.testing.assert_allclose(log_det, 0.0, atol=1e-5)
        # Its knots are among these: a derivative there is that of either side.
        for way in (layer.forward, layer.inverse):
            slopes = jax.jacobian(lambda z, way=way: way(z)[0])(jnp.array([0.3, v, -v]))
            np.testing.assert_allclose(slopes, np.eye(3), atol=1e-5)


@pytest.mark.parametrize("bijection", [BIJECTIONS["SplineCoupling"], BIJECTIONS["AffineCoupling"]])
def test_it_stays_finite_at_extremes(bijection: Bijection) -> None:
    slope = jax.jit(jax.value_and_grad(lambda z: sum(map(jnp.sum, bijection.forward(z)))))
    for z in (jnp.zeros(3), jnp.array([1e4, -1e4, 3.0])):
        chex.assert_tree_all_finite(slope(z))


def test_one_dimension_has_no_half() -> None:
    with pytest.raises(ValueError, match="a coupling needs one vector of at least 2 dimensions"):
        AffineCoupling(lambda fixed: (fixed, fixed)).forward(jnp.zeros(1))


def test_one_scale_for_all_counts_once_for_each() -> None:
    z = jnp.array([0.1, 0.2, 0.3])
    for log_scale in (jnp.log(2.0), jnp.full(1, 0.7)):
        layer = AffineCoupling(lambda fixed, log_scale=log_scale: (jnp.zeros(2), log_scale))
        y, log_det = layer.forward(z)
        exact = jnp.linalg.slogdet(jax.jacfwd(lambda z, layer=layer: layer.forward(z)[0])(z))[1]
        np.testing.assert_allclose(log_det, exact, rtol=1e-6)
        np.testing.assert_allclose(layer.inverse(y)[1], -exact, rtol=1e-6)
