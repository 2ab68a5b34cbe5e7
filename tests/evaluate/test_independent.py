import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from vae_jax.evaluate import independent

RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.negative_binomial(2.0, 0.2, (5000, 2))


def test_marginals_have_the_densities_of_scipy() -> None:
    x, test = RANDOM.normal([0.0, 5.0], [1.0, 0.1], (200, 2)), np.array([[0.3, 5.2]])
    expected = scipy.stats.norm.logpdf(test, x.mean(0), x.std(0))
    np.testing.assert_allclose(independent.independent_normals(x, test), expected)
    # Columns of a table keep their own scales, and a constant has one too.
    wide, at = x * [1e-3, 1e3], test * [1e-3, 1e3]
    expected = scipy.stats.norm.logpdf(at, wide.mean(0), wide.std(0))
    np.testing.assert_allclose(independent.independent_normals(wide, at), expected)
    assert np.isfinite(independent.independent_normals(np.ones((5, 2)), np.zeros((1, 2)))).all()
    # A gap is left out, of training values and of test values.
    gaps = np.vstack([wide, np.full((3, wide.shape[1]), np.nan)])
    np.testing.assert_allclose(independent.independent_normals(gaps, at), expected)
    assert np.isnan(independent.independent_normals(gaps, np.full_like(at, np.nan))).all()
    bits = (RANDOM.random((200, 2)) < [0.1, 0.9]).astype(float)
    p = (bits.sum(0) + 0.5) / 201
    expected = scipy.stats.bernoulli.logpmf([[0, 1]], p)
    np.testing.assert_allclose(independent.independent_bits(bits, np.array([[0.0, 1.0]])), expected)
    mean, variance = COUNTS.mean(0), COUNTS.var(0)
    expected = scipy.stats.nbinom.logpmf([[3, 40]], mean**2 / (variance - mean), mean / variance)
    np.testing.assert_allclose(independent.independent_counts(COUNTS, np.array([[3, 40]])), expected, rtol=1e-6)


@pytest.mark.parametrize("levels", [1, 3, 255])
def test_choices_sum_to_one_and_follow_the_frequencies(levels: int) -> None:
    x = RANDOM.integers(0, levels + 1, (300, 2, 2))
    all_values = np.broadcast_to(np.arange(levels + 1)[:, None, None], (levels + 1, 2, 2))
    log_p = independent.independent_choices(x, all_values, levels)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=0), 1.0)
    frequency = (x == 0).mean(axis=0)
    np.testing.assert_allclose(np.exp(log_p[0]), frequency, atol=(levels + 1) / 300)


def test_counts_without_excess_are_those_of_poisson() -> None:
    x = np.full((10, 1), 3)
    found = independent.independent_counts(x, np.array([[0], [3], [7]]))
    np.testing.assert_allclose(found, scipy.stats.poisson.logpmf([[0], [3], [7]], 3.0), rtol=1e-4)


def test_levels_make_shares_of_counts() -> None:
    counts, test = RANDOM.integers(0, 5, (300, 3)), RANDOM.integers(0, 2, (4, 3)) * 1.0
    for of in (independent.independent_bits, independent.independent_normals):
        np.testing.assert_allclose(of(counts, test, 4), of(counts / 4, test), rtol=1e-12)


@pytest.mark.parametrize(
    "of",
    [
        lambda train, test: independent.independent_bits(train, test, 7),
        lambda train, test: independent.independent_choices(train, test, 7),
        independent.independent_counts,
        lambda train, test: independent.independent_normals(train, test, 7),
    ],
)
def test_bytes_to_train_on_stay_bytes(of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    train = RANDOM.integers(0, 8, (2**14, 1024), dtype=np.uint8)
    tracemalloc.start()
    nats = of(train, train[:2])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.isfinite(nats).all()
    assert peak < train.nbytes
