"""Von Mises and Fisher's distribution against float64: integrals over the angle, and SciPy's density."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

import vae_jax as vj
from tests.members import mean_and_error, z_score
from vae_jax.distributions.sphere import _angle_slope
from vae_jax.distributions.sphere_integral import sphere_integral

SIZES = [2, 3, 5, 20, 26, 27, 64, 784, 4096]
KAPPAS = np.float32(10.0) ** np.arange(-3.0, 6.01, 0.5, dtype=np.float32)
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(32)


class Angle(NamedTuple):
    """The law of the angle to the mean direction by float64 quadrature: nodes about the peak, log-weights, results."""

    nodes: np.ndarray
    shares: np.ndarray
    ends: tuple[float, float]
    log_mean: float
    cosine: float
    gap: float
    kl: float
    variance: float


def _log_density(angle: np.ndarray, kappa: float, size: int) -> np.ndarray:
    return -2.0 * kappa * np.sin(0.5 * angle) ** 2 + (size - 2) * np.log(np.sin(angle))


def _edges(kappa: float, size: int) -> np.ndarray:
    """Where to cut what is within 40 widths of the peak of the density of the angle."""
    peak = np.arccos(2.0 * kappa / (size - 2 + np.hypot(2.0 * kappa, size - 2)))
    width = 1.0 / np.sqrt(kappa * np.cos(peak) + (size - 2) / max(np.sin(peak), 1e-3) ** 2)
    return np.linspace(max(0.0, peak - 40.0 * width), min(np.pi, peak + 40.0 * width), 201)


def _rule(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre's rule in each piece."""
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1.0 + _POINTS)).ravel(), (half * _WEIGHTS).ravel()


def angle_law(kappa: float, size: int) -> Angle:
    edges = _edges(kappa, size)
    nodes, weights = _rule(edges)
    log_shares = _log_density(nodes, kappa, size) + np.log(weights)
    log_integral = scipy.special.logsumexp(log_shares)
    shares = np.exp(log_shares - log_integral)
    # The same over the uniform distribution, in closed form.
    log_mean = log_integral - (
        0.5 * np.log(np.pi) + scipy.special.gammaln((size - 1) / 2) - scipy.special.gammaln(size / 2)
    )
    gap = np.sum(shares * 2.0 * np.sin(0.5 * nodes) ** 2)
    cosine, kl = 1.0 - gap, -kappa * gap - log_mean
    if kappa <= 1.0:
        # Odd powers of the cosine have mean 0 under the uniform, so what is left keeps the digits of a small κ.
        flat, weights = _rule(_edges(1e-12, size))
        even = np.exp((size - 2) * np.log(np.sin(flat))) * weights
        even /= even.sum()
        over = np.sum(even * 2.0 * np.sinh(0.5 * kappa * np.cos(flat)) ** 2)
        cosine = np.sum(even * np.cos(flat) * np.sinh(kappa * np.cos(flat))) / (1.0 + over)
        log_mean, gap, kl = np.log1p(over) - kappa, 1.0 - cosine, kappa * cosine - np.log1p(over)
    variance = np.sum(shares * (np.cos(nodes) - np.sum(shares * np.cos(nodes))) ** 2)
    if gap < 0.1:
        versine = 2.0 * np.sin(0.5 * nodes) ** 2
        variance = np.sum(shares * (versine - gap) ** 2)
    ends = (float(edges[0]), float(edges[-1]))
    return Angle(nodes, shares, ends, float(log_mean), float(cosine), float(gap), float(kl), float(variance))


@pytest.mark.parametrize("size", SIZES)
def test_the_integral_and_its_derivatives(size: int) -> None:
    """Each result relative to its own size, however small: the KL is 1e-10 nats for 4,096 dimensions at κ = 1e-3."""

    def values_and_slopes(kappa):
        return jax.jvp(lambda kappa: sphere_integral(kappa, size), (kappa,), (jnp.ones_like(kappa),))

    found, slopes = jax.jit(jax.vmap(values_and_slopes))(jnp.asarray(KAPPAS))
    laws = [angle_law(float(kappa), size) for kappa in KAPPAS]
    for name in found._fields:
        expected = [getattr(law, name) for law in laws]
        np.testing.assert_allclose(getattr(found, name), expected, rtol=5e-6, err_msg=name)
    variance = np.array([law.variance for law in laws])
    np.testing.assert_allclose(slopes.log_mean, [-law.gap for law in laws], rtol=5e-5)
    np.testing.assert_allclose(slopes.cosine, variance, rtol=5e-5)
    np.testing.assert_allclose(slopes.gap, -variance, rtol=5e-5)
    np.testing.assert_allclose(slopes.kl, KAPPAS * variance, rtol=5e-5)


def test_the_reference_is_the_bessel_functions() -> None:
    """Where SciPy's do not underflow."""
    for size in (2, 3, 7, 50):
        for kappa in (1e-2, 1.0, 30.0, 1e3, 1e5):
            order = 0.5 * size - 1.0
            low, high = scipy.special.ive([order, order + 1.0], kappa)
            if low > 1e-250 and high > 1e-250:
                law = angle_law(kappa, size)
                log_mean = scipy.special.gammaln(order + 1.0) - order * np.log(0.5 * kappa) + np.log(low)
                np.testing.assert_allclose([law.log_mean, law.cosine], [log_mean, high / low], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_the_density_and_the_kl_with_their_gradients(size: int) -> None:
    """Eager, compiled and in a batch, at points at a typical angle from the mean direction."""
    random = np.random.default_rng(0)
    direction = random.standard_normal(size)
    unit = direction / np.linalg.norm(direction)
    around = random.standard_normal(size)
    around -= np.dot(around, unit) * unit
    around /= np.linalg.norm(around)
    q = lambda direction, kappa: vj.VonMisesFisher(direction, kappa)
    log_prob = lambda direction, kappa, v: q(direction, kappa).log_prob(v)
    divergence = lambda direction, kappa: vj.kl(q(direction, kappa), vj.UniformSphere(size))
    both = lambda direction, kappa, v: (
        jax.value_and_grad(log_prob, argnums=(0, 1))(direction, kappa, v),
        jax.value_and_grad(divergence, argnums=(0, 1))(direction, kappa),
    )
    laws = [angle_law(float(kappa), size) for kappa in KAPPAS]
    angles = np.array([np.sum(law.shares * law.nodes) for law in laws])[:, None]
    values = (np.cos(angles) * unit + np.sin(angles) * around).astype(np.float32)
    arguments = [jnp.asarray(part, jnp.float32) for part in (direction, KAPPAS, values)]
    found = jax.jit(jax.vmap(both, in_axes=(None, 0, 0)))(*arguments)
    (density, (by_direction, by_kappa)), (kl, (kl_by_direction, kl_by_kappa)) = jax.tree.map(np.asarray, found)

    area = np.log(2.0) + 0.5 * size * np.log(np.pi) - scipy.special.gammaln(0.5 * size)
    exact, float32_unit = values.astype(np.float64), np.float32(direction).astype(np.float64)
    length = np.linalg.norm(float32_unit)
    float32_unit /= length
    kappas = KAPPAS.astype(np.float64)
    versines = 0.5 * np.sum(np.square(exact - float32_unit), axis=1)
    log_means = np.array([law.log_mean for law in laws])
    gaps = np.array([law.gap for law in laws])
    size_of_terms = np.abs(area) + np.abs(log_means)
    error = np.abs(density - (-kappas * versines - log_means - area))
    assert (error < 3e-6 * size_of_terms + 5e-6 * kappas * versines).all()
    # The mean direction of float32 is known to 6e-8, and so is the distance from it.
    assert (np.abs(by_kappa - (gaps - versines)) < 3e-5 * gaps + 2e-7 * np.sqrt(versines)).all()
    tangent = kappas[:, None] * (exact - (exact @ float32_unit)[:, None] * float32_unit) / length
    scale = np.linalg.norm(tangent, axis=1, keepdims=True)
    # A value of float32 is known to 6e-8, which is a share of its distance from the mean direction.
    assert (np.abs(by_direction - tangent) < 1e-5 * scale + 3e-7 * kappas[:, None] / length).all()
    np.testing.assert_allclose(kl, [law.kl for law in laws], rtol=1e-5)
    np.testing.assert_allclose(
        kl_by_kappa, [kappa * law.variance for kappa, law in zip(kappas, laws, strict=True)], rtol=1e-4
    )
    np.testing.assert_array_equal(kl_by_direction, 0.0)
    assert (kl > 0.0).all()

    for i in (0, 9, 18):
        eager = both(arguments[0], arguments[1][i], arguments[2][i])
        for a, b in zip(jax.tree.leaves(eager), jax.tree.leaves(found), strict=True):
            np.testing.assert_allclose(a, b[i], rtol=2e-4, atol=1e-5 * max(1.0, float(np.abs(b[i]).max())))


@pytest.mark.parametrize("size", [2, 3, 20])
@pytest.mark.parametrize("kappa", [1e-2, 5.0, 1e4])
def test_the_density_is_scipys_at_every_size_and_concentration(size: int, kappa: float) -> None:
    unit = np.ones(size) / np.sqrt(size)
    reference = scipy.stats.vonmises_fisher(unit, kappa)
    values = reference.rvs(20, random_state=0)
    # The direction need not be of length one.
    q = vj.VonMisesFisher(jnp.asarray(3.0 * unit, jnp.float32), jnp.float32(kappa))
    found = jax.jit(jax.vmap(q.log_prob))(jnp.asarray(values, jnp.float32))
    np.testing.assert_allclose(found, reference.logpdf(values), rtol=1e-4, atol=1e-3)


DRAWN = [
    (2, 1e-3),
    (2, 3.0),
    (2, 1e6),
    (3, 0.5),
    (3, 1e5),
    (20, 1e2),
    (64, 1e-3),
    (64, 1e4),
    (784, 1e5),
    (784, 1e6),
    pytest.param(4096, 3e4, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("size", "kappa"), DRAWN)
def test_samples_lie_on_the_sphere_and_have_the_law(size: int, kappa: float) -> None:
    """The angle to the mean direction has its distribution, and what is across it no direction of its own."""
    count = 1000 if size > 500 else 20_000
    unit = np.random.default_rng(1).standard_normal(size)
    unit /= np.linalg.norm(unit)
    q = vj.VonMisesFisher(jnp.asarray(unit, jnp.float32), jnp.float32(kappa))
    drawn = np.asarray(jax.jit(lambda key: q.sample(key, (count,)))(jax.random.key(0)), np.float64)
    assert np.abs(np.linalg.norm(drawn, axis=1) - 1.0).max() < 1e-6
    law = angle_law(np.float64(np.float32(kappa)), size)
    versines = 0.5 * np.sum(np.square(drawn - unit), axis=1)
    # Mean resultant length.
    assert abs(versines.mean() - law.gap) < 4.0 * np.sqrt(law.variance / count) + 1e-6 * law.gap
    np.testing.assert_allclose(versines.var(), law.variance, rtol=0.25 if count == 1000 else 0.07)
    angles = 2.0 * np.arcsin(np.sqrt(np.clip(0.5 * versines, 0.0, 1.0)))
    below = np.interp(angles, law.nodes, np.cumsum(law.shares))
    assert scipy.stats.kstest(below, "uniform").pvalue > 1e-3
    across = drawn - (drawn @ unit)[:, None] * unit
    mean = across.mean(axis=0) / np.sqrt((across**2).mean(axis=0) + 1e-30)
    assert np.abs(mean).max() < 5.0 / np.sqrt(count)


@pytest.mark.parametrize("size", [2, 3, 20, 784, 4096])
def test_the_angle_follows_its_distribution_function(size: int) -> None:
    """dθ/dκ against the derivative of the distribution function, `−∂F/∂κ / p`, by float64 quadrature."""
    for kappa in (1e-2, 1.0, 30.0, 1e3, 3e4, 1e6):
        law = angle_law(kappa, size)
        distribution = np.cumsum(law.shares)
        angles = np.float32(np.interp([0.002, 0.1, 0.5, 0.9, 0.998], distribution, law.nodes)).astype(np.float64)
        found = jax.vmap(lambda angle, kappa=kappa: _angle_slope(angle, jnp.float32(kappa), size))(
            jnp.asarray(angles, jnp.float32)
        )
        for angle, slope in zip(angles, np.asarray(found), strict=True):
            # From the nearer end, over nodes of its own.
            versine = 2.0 * np.sin(0.5 * angle) ** 2
            low, high = (law.ends[0], angle) if versine < law.gap else (angle, law.ends[1])
            nodes, weights = _rule(np.linspace(low, high, 201))
            ratio = np.exp(_log_density(nodes, kappa, size) - _log_density(np.array([angle]), kappa, size))
            integral = np.sum(weights * (law.gap - 2.0 * np.sin(0.5 * nodes) ** 2) * ratio)
            exact = -integral if versine < law.gap else integral
            np.testing.assert_allclose(slope, exact, rtol=3e-5)


@pytest.mark.parametrize(
    ("size", "kappa"), [(2, 1.0), (3, 0.1), (5, 8.0), (30, 50.0), pytest.param(300, 1e4, marks=pytest.mark.slow)]
)
def test_a_sample_differentiates_in_the_concentration(size: int, kappa: float) -> None:
    """The mean of the samples' derivative is the derivative of the mean, which is known."""
    direction = jnp.eye(size)[0]

    def along(kappa, key):
        return vj.VonMisesFisher(direction, kappa).sample(key)[0]

    keys = jax.random.split(jax.random.key(0), 20_000 if size < 100 else 4000)
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(along), in_axes=(None, 0)))(jnp.float32(kappa), keys)
    mean = lambda kappa: vj.VonMisesFisher(direction, kappa).mean[0]
    for found, expected in ((values, mean(kappa)), (slopes, jax.grad(mean)(jnp.float32(kappa)))):
        level, error = mean_and_error(found)
        assert abs(level - expected) < 4 * error + 1e-6 * abs(expected)


@pytest.mark.parametrize(
    ("direction", "kappa"), [([1.0, -2.0], 1.0), ([-0.4, 0.3, 1.2], 3.0), ([0.0, 0.0, -3.0], 20.0)]
)
def test_a_sample_differentiates_in_the_direction(direction: list[float], kappa: float) -> None:
    """The mean of the samples' Jacobian is the Jacobian of the mean, which is known."""
    sample = lambda direction, key: vj.VonMisesFisher(direction, jnp.float32(kappa)).sample(key)
    mean = lambda direction: vj.VonMisesFisher(direction, jnp.float32(kappa)).mean
    keys = jax.random.split(jax.random.key(0), 10_000)
    found = jax.jit(jax.vmap(jax.jacobian(sample), in_axes=(None, 0)))(jnp.array(direction), keys)
    expected = jax.jacobian(mean)(jnp.array(direction))
    assert jnp.abs(expected).max() > 0.1
    assert z_score(found, expected) < 4


def test_the_kl_to_the_uniform_is_the_mean_of_the_log_ratio() -> None:
    q, p = vj.VonMisesFisher(jnp.array([1.0, 2.0, -1.0, 0.5]), jnp.float32(6.0)), vj.UniformSphere(4)
    draws = q.sample(jax.random.key(0), (40_000,))
    level, error = mean_and_error(jax.vmap(lambda v: q.log_prob(v) - p.log_prob(v))(draws))
    assert abs(level - vj.kl(q, p)) < 4 * error


@pytest.mark.parametrize("direction", [[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0], [-1.0, 1e-4], [1e-20, -3e-20]])
def test_every_mean_direction_is_met(direction: list[float]) -> None:
    """Also along an axis, where a reflection could have no mirror."""
    q = vj.VonMisesFisher(jnp.array(direction), jnp.float32(1e6))
    drawn = q.sample(jax.random.key(0), (100,))
    np.testing.assert_allclose(drawn, np.broadcast_to(q.unit, (100, 2)), atol=6e-3)
    slope = jax.grad(lambda d: vj.VonMisesFisher(d, jnp.float32(1e6)).sample(jax.random.key(0)).sum())(q.direction)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("concentration", [jnp.nan, jnp.inf])
def test_a_concentration_that_is_no_number_comes_out_and_does_not_hang(concentration) -> None:
    sample = jax.jit(lambda kappa, key: vj.VonMisesFisher(jnp.array([1.0, 0.0, 0.0]), kappa).sample(key))
    assert not jnp.isfinite(sample(jnp.float32(concentration), jax.random.key(0))).all()


def test_one_dimension_and_parameters_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="d at least 2, and concentration be one number, got"):
        vj.VonMisesFisher(jnp.ones(1), 2.0).sample(jax.random.key(0))
    with pytest.raises(ValueError, match="concentration be one number"):
        vj.VonMisesFisher(jnp.ones(3), jnp.ones(3)).log_prob(jnp.ones(3))
