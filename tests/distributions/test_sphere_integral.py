"""The integral over the sphere against quadrature in float64; the density made of it is tested in test_sphere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions.sphere_integral import sphere_integral


def by_quadrature(kappa: float, size: int) -> tuple[float, float]:
    """log E exp(κ (cos θ − 1)) and E_q[cos θ], by Gauss-Legendre on pieces around the mode of the integrand."""
    mode = np.arccos(2 * kappa / (size - 2 + np.hypot(size - 2, 2 * kappa))) if size > 2 else 0.0
    width = 1 / np.sqrt(kappa * max(np.cos(mode), 0) + (size - 2) / max(np.sin(mode) ** 2, 1e-12) + 1e-12)
    nodes, weights = np.polynomial.legendre.leggauss(64)

    def integral(low: float, high: float, log_weight, pieces: int = 400) -> tuple[np.ndarray, np.ndarray]:
        edges = np.linspace(low, high, pieces + 1)
        half = 0.5 * np.diff(edges)[:, None]
        theta = (edges[:-1, None] + half * (nodes + 1)).ravel()
        return theta, np.log((half * weights).ravel()) + log_weight(theta)

    def area(theta: np.ndarray) -> np.ndarray:
        return (size - 2) * np.log(np.sin(theta)) if size > 2 else np.zeros_like(theta)

    low, high = max(0.0, mode - 40 * width), min(np.pi, mode + 40 * width)
    theta, log_w = integral(low, high, lambda t: -2 * kappa * np.sin(t / 2) ** 2 + area(t))
    _, log_area = integral(0.0, np.pi, area)
    share = np.exp(log_w - np.logaddexp.reduce(log_w))
    return float(np.logaddexp.reduce(log_w) - np.logaddexp.reduce(log_area)), float((share * np.cos(theta)).sum())


@pytest.mark.parametrize("size", [2, 3, 10, 26, 200, 784])
def test_the_integral_is_that_of_quadrature(size: int) -> None:
    kappas = np.float32([0.1, 1.0, 30.0, 1e3, 1e5])
    found = jax.jit(lambda kappa: sphere_integral(kappa, size))(jnp.asarray(kappas))
    for i, kappa in enumerate(kappas.astype(np.float64)):
        log_mean, cosine = by_quadrature(kappa, size)
        np.testing.assert_allclose(found.log_mean[i], log_mean, rtol=5e-6, atol=1e-6)
        np.testing.assert_allclose(found.cosine[i], cosine, rtol=5e-6)
        kl = kappa * (cosine - 1) - log_mean
        np.testing.assert_allclose(found.kl[i], kl, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.gap[i], 1 - cosine, rtol=1e-4)


@pytest.mark.parametrize("size", [2, 3, 100, 4096])
def test_a_small_concentration_has_its_small_divergence(size: int) -> None:
    kappa = np.float32([1e-3, 1e-2])
    np.testing.assert_allclose(
        sphere_integral(jnp.asarray(kappa), size).kl, kappa.astype(float) ** 2 / (2 * size), rtol=1e-4
    )
