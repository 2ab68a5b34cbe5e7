import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.objectives.discrepancy import imq, rbf

KERNELS = {"rbf": rbf, "imq": imq}


def normal(seed: int, size: int = 200, shift: float = 0.0) -> jax.Array:
    return shift + jax.random.normal(jax.random.key(seed), (size, 3))


def test_the_kernels_by_hand() -> None:
    # For codes of two numbers C = 4 s. At a distance of 2 it is s / (s + 1), at one of √8 s / (s + 2).
    by_hand = [(1 / 11 + 1 / 6 + 1 / 3 + 1 / 2 + 2 / 3 + 5 / 6 + 10 / 11) / 7]
    by_hand.append((1 / 21 + 1 / 11 + 1 / 5 + 1 / 3 + 1 / 2 + 5 / 7 + 5 / 6) / 7)
    np.testing.assert_allclose(imq(jnp.array([[4.0, 8.0]]), 2), [by_hand], rtol=1e-6)
    np.testing.assert_allclose(rbf(jnp.array([[4.0, 8.0]]), 2), np.exp([[-1.0, -2.0]]), rtol=1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_the_u_statistic_by_brute_force(name: str) -> None:
    a, b = normal(0, 5), normal(1, 4, 1.0)

    def k(x, y):
        return KERNELS[name](jnp.sum(jnp.square(x - y))[None, None], 3)[0, 0]

    within = [np.mean([k(x, y) for x, y in itertools.permutations(codes, 2)]) for codes in (a, b)]
    across = np.mean([k(x, y) for x in a for y in b])
    np.testing.assert_allclose(vj.mmd(a, b, KERNELS[name]), within[0] + within[1] - 2 * across, atol=2e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_zero_within_its_error_for_equal_distributions_and_growing_with_distance(name: str) -> None:
    found = jnp.stack([vj.mmd(normal(2 * i, 100), normal(2 * i + 1, 100), KERNELS[name]) for i in range(60)])
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(60)
    assert found.min() < 0.0
    far = [float(vj.mmd(normal(0), normal(1, shift=shift), KERNELS[name])) for shift in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert far == sorted(far)
    assert far[1] > 4 * float(found.std())


def test_the_closed_form_for_gaussians() -> None:
    """E k(a, b) of the RBF kernel for a ~ N(0, I), b ~ N(m, I) is (w / (w + 2))^(d/2) exp(−|m|² / 2(w + 2)), w = d."""
    d, m = 3, 1.2
    k = lambda distance: (d / (d + 2)) ** (d / 2) * np.exp(-d * distance**2 / (2 * (d + 2)))
    found = [float(vj.mmd(normal(i, 400), normal(100 + i, 400, m))) for i in range(40)]
    error = np.std(found) / np.sqrt(40)
    assert abs(np.mean(found) - 2 * (k(0.0) - k(m))) < 4 * error


@pytest.mark.parametrize("place", [0.0, 30.0, 1e3, -1e4])
def test_far_from_the_origin_it_is_the_same(place: float) -> None:
    # Codes that float32 holds at either place.
    a, b = (jnp.round(256.0 * normal(seed)) / 256.0 for seed in (0, 1))
    for kernel in KERNELS.values():
        found, slope = jax.value_and_grad(lambda a, kernel=kernel: vj.mmd(a, b + place, kernel))(a + place)
        expected, right = jax.value_and_grad(lambda a, kernel=kernel: vj.mmd(a, b, kernel))(a)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_allclose(slope, right, atol=1e-6)


def test_the_gradient_is_finite_where_codes_coincide() -> None:
    for kernel in KERNELS.values():
        slope = jax.grad(lambda a, kernel=kernel: vj.mmd(a, normal(3), kernel))(jnp.zeros((4, 3)))
        assert np.isfinite(slope).all()


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mmd: a must have shape \(n, d\) with n >= 2, got \(1, 3\)"):
        vj.mmd(normal(0, 1), normal(1))
    with pytest.raises(ValueError, match=r"mmd: b must have shape \(n, d\) with n >= 2, got \(3,\)"):
        vj.mmd(normal(0), normal(1)[0])
    with pytest.raises(ValueError, match="codes of the same size, got 3 and 2"):
        vj.mmd(normal(0), normal(1)[:, :2])
