"""Scores of codes where no factor is known: in closed form, and of codes that are each other's."""

import math

import numpy as np
import pytest

from vae_jax.evaluate import gaussian_total_correlation, udr

RANDOM = np.random.default_rng(0)
NOISE = RANDOM.standard_normal((1600, 5))


def test_total_correlation_of_a_normal() -> None:
    rho = 0.8
    codes = np.random.default_rng(1).multivariate_normal([1.0, 2.0], [[4.0, 2.0 * rho], [2.0 * rho, 1.0]], 100_000)
    assert gaussian_total_correlation(codes) == pytest.approx(-0.5 * math.log(1.0 - rho**2), abs=0.01)
    assert gaussian_total_correlation(codes * [3.0, -1.0]) == pytest.approx(gaussian_total_correlation(codes))
    with_constant = np.concatenate([codes, np.ones((len(codes), 1))], axis=1)
    assert gaussian_total_correlation(with_constant) == pytest.approx(gaussian_total_correlation(codes))
    # Constants whose mean is rounded, and one that is off by its last digit.
    for value in (0.1, np.nextafter(0.1, 1.0)):
        still = np.where(np.arange(len(codes)) % 2, 0.1, value)[:, None]
        with_rounding = np.concatenate([codes, still], axis=1)
        assert gaussian_total_correlation(with_rounding) == pytest.approx(gaussian_total_correlation(codes))
    assert gaussian_total_correlation(codes[:, :1]) == 0.0
    assert gaussian_total_correlation(np.concatenate([codes, codes], axis=1)) > 10.0
    with pytest.raises(ValueError, match="n >= 2"):
        gaussian_total_correlation(codes[:1])


@pytest.mark.parametrize("n", [10, 1600])
def test_total_correlation_of_linear_functions_is_infinite(n: int) -> None:
    for seed in range(10):
        random = np.random.default_rng(seed)
        codes = random.standard_normal((n, 5)) * np.exp(random.standard_normal(5)) + 10.0 * random.standard_normal(5)
        assert math.isfinite(gaussian_total_correlation(codes))
        assert gaussian_total_correlation(np.c_[codes, codes @ random.standard_normal(5) - 3.0]) == math.inf
    # Of fewer examples than codes every code is one.
    assert gaussian_total_correlation(np.random.default_rng(0).standard_normal((10, 20))) == math.inf
    # Nearly is not.
    near = NOISE[:, 0] + 1e-4 * NOISE[:, 1]
    expected = -0.5 * math.log(1.0 - np.corrcoef(NOISE[:, 0], near)[0, 1] ** 2)
    assert gaussian_total_correlation(np.c_[NOISE[:, 0], near]) == pytest.approx(expected, rel=1e-4)


def test_ranking_without_labels() -> None:
    same = [NOISE, -NOISE[:, ::-1], np.exp(NOISE)]
    turned = np.linalg.qr(RANDOM.standard_normal((5, 5)))[0]
    scores = udr([*same, NOISE @ turned])
    # Independent codes of 1,600 examples are correlated by 0.02 on average, by chance.
    assert (scores[:3] > 0.85).all()
    assert scores[3] < 0.6
    assert udr([np.tile(np.eye(2), (8, 1)), np.tile(np.eye(2), (8, 1))[:, :1]]).shape == (2,)
    # What does not count neither helps nor harms.
    mask = [np.arange(5) < 3] * 3
    padded = [np.concatenate([one[:, :3], RANDOM.standard_normal((1600, 2))], axis=1) for one in (NOISE, -NOISE, NOISE)]
    np.testing.assert_allclose(udr(padded, informative=mask), udr([one[:, :3] for one in padded]))
    still = np.where(RANDOM.random((1600, 1)) < 0.5, 0.1, np.nextafter(0.1, 1.0))
    rounding = [np.concatenate([one, still], axis=1) for one in same]
    np.testing.assert_allclose(udr(rounding), udr(same))
    # Two models that say nothing are like no other, not even each other.
    nothing = np.zeros(5, bool)
    np.testing.assert_array_equal(udr([NOISE, NOISE, NOISE], informative=[nothing, nothing, ~nothing]), 0.0)
    with pytest.raises(ValueError, match="at least two are needed, got 1"):
        udr([NOISE])
    with pytest.raises(ValueError, match="all models must code the same examples"):
        udr([NOISE, NOISE[1:]])
    with pytest.raises(ValueError, match=r"one mask \[d\] for each model"):
        udr([NOISE, NOISE], informative=[np.ones(5, bool)])
