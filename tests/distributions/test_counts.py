"""Counts against SciPy in float64, over tables as wide as float32 goes; and their samples against their law."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
import scipy.stats

import vae_jax as vj
from vae_jax.distributions.remainders import exp_remainder, log_gamma_step, log_ratio, stirling_remainder

COUNTS = np.array([0, 1, 2, 3, 4, 5, 7, 12, 40, 255, 1e3, 65_535, 1e5, 1e6, 1e7, 2.0**24])


def table(values: Any, *parameters: Any) -> list[np.ndarray]:
    """Every combination, flat: counts in float64, parameters as float32 holds them."""
    grid = np.meshgrid(values, *parameters, indexing="ij")
    return [grid[0].ravel()] + [part.ravel().astype(np.float32).astype(np.float64) for part in grid[1:]]


def near(values: np.ndarray, deviations: Any) -> tuple[np.ndarray, np.ndarray]:
    """Counts, and logarithms of rates of which they are so many standard deviations away."""
    values, deviations = np.meshgrid(values, deviations, indexing="ij")
    most = np.maximum(values, 1.0)
    return values.ravel(), (np.log(most) + deviations / np.sqrt(most)).ravel().astype(np.float32).astype(np.float64)


def values_and_slopes(log_prob: Any, *arguments: Any) -> tuple[np.ndarray, ...]:
    """`log_prob(value, *parameters)` and its derivatives in the parameters, compiled, as float64."""
    slots = tuple(range(1, len(arguments)))
    both = jax.jit(jax.vmap(jax.value_and_grad(log_prob, argnums=slots)))
    found, slopes = both(*(jnp.asarray(part, jnp.float32) for part in arguments))
    return np.asarray(found, np.float64), *(np.asarray(slope, np.float64) for slope in slopes)


def close(found: np.ndarray, expected: np.ndarray, absolute: float, relative: float = 3e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute)


def test_poisson() -> None:
    far = table(COUNTS, np.log([1e-3, 0.1, 1.0, 10.0, 1e3, 1e5, 1e7]))
    value, log_rate = (
        np.concatenate(part) for part in zip(far, near(COUNTS, [-10, -3, -1, 0, 0.3, 1, 3, 10]), strict=True)
    )
    found, slope = values_and_slopes(lambda v, r: vj.Poisson(r).log_prob(v), value, log_rate)
    rate = np.exp(log_rate)
    close(found, value * log_rate - rate - sp.gammaln(value + 1.0), 2e-5)
    # A logarithm of a rate is known to 6e-8 of it, and the derivative is as wide as that at the largest counts.
    assert (np.abs(slope - (value - rate)) <= 1e-6 * rate + 1e-4 * np.sqrt(rate) + 3e-6 * np.abs(value - rate)).all()


def test_negative_binomial() -> None:
    log_r = np.array([-15.0, -5.0, -1.0, 0.0, 1.0, 3.0, 7.0, 10.0, 14.0, 17.0, 20.0])
    value, log_mean, log_r = table(COUNTS[COUNTS <= 1e6], [-15.0, -3.0, 0.0, 3.0, 8.0, 11.6, 13.7, 13.8, 13.9], log_r)
    d = lambda v, m, r: vj.NegativeBinomial(m, r).log_prob(v)
    found, by_mean, by_r = values_and_slopes(d, value, log_mean, log_r)
    mean, r = np.exp(log_mean), np.exp(log_r)
    ways = -np.log(value + r) - sp.betaln(value + 1.0, r)
    close(found, ways - r * np.log1p(mean / r) + value * (log_mean - np.log(r + mean)), 2e-4)
    exact = (value - mean) * r / (r + mean)
    assert (np.abs(by_mean - exact) <= 2e-6 * (value + mean) + 1e-4 * np.abs(exact) + 1e-5).all()
    exact = r * (sp.digamma(value + r) - sp.digamma(r) - np.log1p(mean / r) + (mean - value) / (r + mean))
    # The digits of SciPy's difference of two digammas.
    unknown = 1e-15 * r * np.log(r + 2.0) + 1e-12
    assert (np.abs(by_r - exact) <= 1e-5 * (value + mean) + 2e-3 * np.abs(exact) + 1e-4 + unknown).all()


@pytest.mark.parametrize("log_r", [30.0, 60.0, 80.0, 1e3])
def test_a_negative_binomial_of_large_concentration_is_poisson(log_r: float) -> None:
    value, log_mean = near(COUNTS[COUNTS <= 1e6], [-3, -1, 0, 1, 3])
    d = lambda v, m: vj.NegativeBinomial(m, jnp.float32(log_r)).log_prob(v)
    found, slope = values_and_slopes(d, value, log_mean)
    expected, right = values_and_slopes(lambda v, r: vj.Poisson(r).log_prob(v), value, log_mean)
    close(found, expected, 1e-4)
    close(slope, right, 1e-2, 1e-3)
    by_r = jax.grad(lambda r: vj.NegativeBinomial(jnp.float32(13.0), r).log_prob(jnp.float32(4e5)))(jnp.float32(log_r))
    assert abs(float(by_r)) < 1e-2


@pytest.mark.parametrize("total", [1, 2, 3, 7, 255, 65_535, 10**6])
def test_binomial(total: int) -> None:
    value = np.unique(np.array([0, 1, 2, total // 3, total // 2, total - 2, total - 1, total]).clip(0, total))
    ones, zeros = np.maximum(value, 0.5), np.maximum(total - value, 0.5)
    typical = np.log(ones / zeros) + np.array([-10.0, -3.0, 0.0, 1.0, 3.0])[:, None] * np.sqrt(1.0 / ones + 1.0 / zeros)
    fixed = np.broadcast_to(np.array([-100.0, -10.0, 0.0, 2.0, 50.0])[:, None], (5, len(value)))
    logits = np.concatenate([typical, fixed]).ravel().astype(np.float32).astype(np.float64)
    value = np.tile(value, 10).astype(np.float64)
    found, slope = values_and_slopes(lambda v, logits: vj.Binomial(logits, total).log_prob(v), value, logits)
    log_ways = -np.log1p(total) - sp.betaln(value + 1.0, total - value + 1.0)
    close(found, log_ways + value * logits - total * np.logaddexp(0.0, logits), 3e-4, 2e-5)
    spread = total * sp.expit(logits) * sp.expit(-logits)
    exact = value * sp.expit(-logits) - (total - value) * sp.expit(logits)
    assert (np.abs(slope - exact) <= 1e-6 * spread + 1e-3 * np.sqrt(spread) + 1e-5 * np.abs(exact) + 1e-6).all()


def test_what_is_no_count_has_no_probability() -> None:
    for d in (
        vj.Poisson(jnp.zeros(())),
        vj.NegativeBinomial(jnp.zeros(()), jnp.zeros(())),
        vj.Binomial(jnp.zeros(()), 4),
    ):
        for value in (-1.0, 0.5, 5.5):
            assert d.log_prob(jnp.float32(value)) == -jnp.inf
    assert vj.Binomial(jnp.zeros(()), 4).log_prob(jnp.float32(5.0)) == -jnp.inf


POISSON_RATES = [0.5, 8.0, 90.0, 110.0, 1e4, 1e6, 1e7, 1e8, 2e9, 1e10]


@pytest.mark.parametrize("rate", POISSON_RATES)
def test_poisson_samples_have_their_law(rate: float) -> None:
    """Also above 2^31, where no int32 goes, and compiled, where no rate is known."""
    log_rate = jnp.log(jnp.float32(rate))
    draw = lambda log_rate: vj.Poisson(log_rate).sample(jax.random.key(0), (100_000,))
    drawn = np.asarray(jax.jit(draw)(log_rate), np.float64)
    # Not compiled, a sum may be rounded the other way.
    np.testing.assert_allclose(draw(log_rate), drawn, rtol=2e-7, atol=1.0)
    has_law(drawn, scipy.stats.poisson(float(jnp.exp(log_rate))))


@pytest.mark.parametrize(
    ("mean", "concentration"), [(3.0, 1.0), (50.0, 0.2), (1e4, 3.0), (1e6, 1e6), (1e9, 50.0), (1e10, 1e3), (1e9, 1e30)]
)
def test_negative_binomial_samples_have_their_law(mean: float, concentration: float) -> None:
    d = vj.NegativeBinomial(jnp.log(jnp.float32(mean)), jnp.log(jnp.float32(concentration)))
    drawn = np.asarray(jax.jit(lambda d: d.sample(jax.random.key(0), (100_000,)))(d), np.float64)
    mean, r = np.exp(np.float64(d.log_mean)), np.exp(np.float64(d.log_concentration))
    np.testing.assert_allclose(d.mean, mean, rtol=3e-6)
    if r > 1e20:
        has_law(drawn, scipy.stats.poisson(mean))
    elif mean < 1e5:
        has_law(drawn, scipy.stats.nbinom(r, r / (r + mean)))
    else:
        deviation = np.sqrt(mean + mean * mean / r)
        assert abs(drawn.mean() - mean) < 4.5 * deviation / np.sqrt(len(drawn)) + 1e-6 * mean
        np.testing.assert_allclose(drawn.std(), deviation, rtol=0.02)


@pytest.mark.parametrize("total", [7, 255, 65_535, 10**6, 2**24, 10**9])
@pytest.mark.parametrize("expected", [0.3, 3.0, 60.0, 150.0, 0.3e6])
def test_binomial_samples_have_their_law(total: int, expected: float) -> None:
    if expected >= 0.5 * total:
        return
    for sign in (1.0, -1.0):
        logits = jnp.float32(sign * np.log(expected / (total - expected)))
        drawn = vj.Binomial(logits, total).sample(jax.random.key(0), (100_000,))
        assert jnp.issubdtype(drawn.dtype, jnp.integer)
        rare = sp.expit(-np.abs(np.float64(logits)))
        rarer = np.asarray(drawn, np.int64) if sign > 0 else total - np.asarray(drawn, np.int64)
        has_law(rarer.astype(np.float64), scipy.stats.binom(total, rare))


def test_a_binomial_of_more_than_an_integer_holds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"total must be below 2\^31, got 4294967296"):
        vj.Binomial(jnp.zeros(1), 2**32).sample(jax.random.key(0))


def has_law(drawn: np.ndarray, law: Any) -> None:
    """Whole numbers, whose first two moments and distribution are those of a law of SciPy."""
    assert (drawn == np.floor(drawn)).all()
    assert (drawn >= 0).all()
    count, mean, variance = len(drawn), law.mean(), law.var()
    # The mean of float32 is known to some digits.
    assert abs(drawn.mean() - mean) < 4.5 * np.sqrt(variance / count) + 5e-7 * mean
    fourth = (law.stats("k") + 2.0) if np.isfinite(law.stats("k")) else 10.0
    assert abs(drawn.var() / variance - 1.0) < 4.5 * np.sqrt(fourth / count) + 1e-3
    # Between numbers that float32 has.
    edges = np.unique(law.ppf(np.linspace(0.0, 1.0, 41)[1:-1]).astype(np.float32))
    edges = edges + 0.5 * np.maximum(np.spacing(edges), np.float32(1.0)).astype(np.float64)
    below = np.concatenate([[0.0], law.cdf(edges), [1.0]])
    observed = np.bincount(np.searchsorted(edges, drawn), minlength=len(edges) + 1)
    expected = np.diff(below) * count
    kept = expected > 5.0
    excess = (observed - expected)[kept]
    assert scipy.stats.chi2(kept.sum()).sf(np.sum(excess**2 / expected[kept])) > 1e-4


def test_remainders() -> None:
    u = np.float32(np.concatenate([[0.0], *(s * np.geomspace(1e-6, 40.0, 200) for s in (1.0, -1.0))])).astype(
        np.float64
    )
    series = u * u / 2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5 * (1 + u / 6 * (1 + u / 7 * (1 + u / 8))))))
    exact = np.where(np.abs(u) < 0.02, series, np.expm1(u) - u)
    found, slope = values_and_slopes(lambda _, u: exp_remainder(u), u, u)
    close(found, exact, 0.0, 1e-6)
    close(slope, np.expm1(u), 0.0, 2e-6)
    assert (found >= 0.0).all()

    x = np.float32(np.geomspace(1e-3, 1e30, 600)).astype(np.float64)
    small = np.minimum(x, 1e4)
    stirling = sp.gammaln(small + 1) - ((small + 0.5) * np.log(small) - small + 0.5 * np.log(2 * np.pi))
    found, slope = values_and_slopes(lambda _, x: stirling_remainder(x), x, x)
    close(found, np.where(x < 100, stirling, 1 / (12 * x) - 1 / 360 / np.float64(x) ** 3), 2e-6, 2e-6)
    assert np.isfinite(slope).all()
    step = sp.gammaln(small + 0.5) - sp.gammaln(small) - 0.5 * np.log(small)
    found, slope = values_and_slopes(lambda _, x: log_gamma_step(x), x, x)
    close(found, np.where(x < 100, step, -1 / (8 * x)), 2e-6, 2e-6)
    assert np.isfinite(slope).all()

    a, b = near(COUNTS[1:], [-1.0, 0.0, 1e-2, 1.0])[::-1]
    found, by_log, by_count = values_and_slopes(lambda _, a, b: log_ratio(a, b), a, a, b)
    close(found, a - np.log(b), 6e-8, 2e-7)
    close(by_log, np.ones(len(a)), 0.0)
    close(by_count, -1.0 / b, 0.0)


@pytest.mark.parametrize("value", [-1.0, 0.5, np.inf, np.nan])
@pytest.mark.parametrize("d", [vj.Poisson(jnp.float32(1.0)), vj.NegativeBinomial(jnp.float32(1.0), jnp.float32(0.3))])
def test_what_is_no_count_is_impossible(d, value: float) -> None:
    assert d.log_prob(jnp.float32(value)) == -jnp.inf


NARROW: dict[str, tuple[Any, Any]] = {
    "Binomial": (vj.Binomial(jnp.bfloat16(3.0), 1000), np.array([0, 930, 998, 999, 1000])),
    "Binomial of many": (vj.Binomial(jnp.float16(0.0), 10**6), np.array([499_000, 500_001, 501_000])),
    "Poisson": (vj.Poisson(jnp.float16(11.0)), np.array([59_000, 65_000, 70_000])),
    "Poisson of few": (vj.Poisson(jnp.bfloat16(6.0)), np.array([0, 401, 402])),
}


@pytest.mark.parametrize("name", NARROW)
def test_counts_keep_their_digits_beside_parameters_of_half_precision(name: str) -> None:
    d, values = NARROW[name]
    exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), d)
    for value in values:
        np.testing.assert_allclose(d.log_prob(value), exact.log_prob(value), rtol=1e-6)
    np.testing.assert_allclose(vj.Binomial(jnp.bfloat16(3.0), 1000).log_prob(999), -44.68, atol=0.01)
    np.testing.assert_allclose(vj.Poisson(jnp.float16(11.0)).log_prob(70_000), -818.18, atol=0.01)


def test_counts_are_drawn_by_their_law_from_parameters_of_half_precision() -> None:
    drawn = vj.Binomial(jnp.bfloat16(3.0), 10_000).sample(jax.random.key(0), (100_000,))
    has_law(np.asarray(drawn, np.float64), scipy.stats.binom(10_000, sp.expit(3.0)))
    # Whole numbers up to 2048 have a float of 16 bits.
    drawn = vj.Poisson(jnp.float16(7.0)).sample(jax.random.key(0), (100_000,))
    assert drawn.dtype == jnp.float16
    has_law(np.asarray(drawn, np.float64), scipy.stats.poisson(np.exp(7.0)))
    drawn = vj.NegativeBinomial(jnp.float16(5.0), jnp.float16(2.0)).sample(jax.random.key(0), (100_000,))
    assert drawn.dtype == jnp.float16
    has_law(np.minimum(np.asarray(drawn, np.float64), 2048), scipy.stats.nbinom(np.exp(2.0), 1 / (1 + np.exp(3.0))))
