"""The aggregate posterior from a minibatch: exact where the batch is everything, and by enumeration of all batches."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.evaluate import marginal_kl
from vae_jax.objectives.aggregate import aggregate_log_probs, split_rate, stratified_log_weights, weighted_log_weights

# Four posteriors in the plane, some of them close.
MEANS = jnp.array([[-1.0, -0.8], [-0.6, -1.1], [0.9, 1.2], [1.1, 0.2]])
SCALES = jnp.array([[0.4, 0.6], [0.5, 0.3], [0.7, 0.4], [0.3, 0.5]])
POSTERIORS = vj.DiagNormal(MEANS, SCALES)
PRIOR = vj.standard_normal(2)
SCHEMES = {"weighted": weighted_log_weights, "stratified": stratified_log_weights}


def mixture(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`q(z)` `[n]` and `q(z_j)` `[n, 2]` of points `[n, 2]`, in float64."""
    standard = (points[:, None, :] - np.asarray(MEANS, np.float64)) / np.asarray(SCALES, np.float64)
    densities = np.exp(-0.5 * standard**2) / (math.sqrt(2.0 * math.pi) * np.asarray(SCALES, np.float64))
    return densities.prod(axis=2).mean(axis=1), densities.mean(axis=1)


def by_quadrature() -> tuple[float, float, float]:
    """Index code, total correlation and dimension-wise KL of the four."""
    line = np.linspace(-6.0, 6.0, 801)
    points = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    joint, marginals = mixture(points)
    area = (line[1] - line[0]) ** 2
    prior = np.exp(-0.5 * points**2) / math.sqrt(2.0 * math.pi)
    entropy = -np.sum(joint * np.log(joint)) * area
    noise = np.mean(np.sum(np.log(np.asarray(SCALES, np.float64)) + 0.5 * math.log(2.0 * math.pi * math.e), axis=1))
    total_correlation = np.sum(joint * np.log(joint / marginals.prod(axis=1))) * area
    dimension_wise = np.sum(joint[:, None] * np.log(marginals / prior)) * area
    return float(entropy - noise), float(total_correlation), float(dimension_wise)


def test_of_all_examples_the_parts_are_those_of_enumeration() -> None:
    def one(key: jax.Array) -> jax.Array:
        codes = jax.vmap(lambda q, key: q.sample(key))(POSTERIORS, jax.random.split(key, 4))
        return jnp.stack(split_rate(POSTERIORS, PRIOR, codes, stratified_log_weights(4, 4)))

    found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 20_000)), np.float64)
    error = found.std(axis=0) / math.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - by_quadrature()) < 4.0 * error).all()
    rate = np.mean(jax.vmap(lambda q: vj.kl(q, PRIOR))(POSTERIORS))
    np.testing.assert_allclose(found.mean(axis=0).sum(), rate, atol=0.02)


def test_the_parts_of_a_normal_aggregate_are_in_closed_form() -> None:
    size, noise = 3000, 0.8
    covariance = np.array([[1.0, 0.6], [0.6, 0.5]])
    means = np.random.default_rng(0).multivariate_normal(np.zeros(2), covariance, size)
    # The sample itself is the dataset: its covariance, not the one it was drawn with.
    means = (means - means.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(means.T, ddof=0))).T
    means = means @ np.linalg.cholesky(covariance).T
    posteriors = vj.DiagNormal(jnp.asarray(means, jnp.float32), jnp.full((size, 2), noise))
    codes = posteriors.mean + noise * jax.random.normal(jax.random.key(0), (size, 2))
    found = split_rate(posteriors, PRIOR, codes, stratified_log_weights(size, size))
    total = covariance + noise**2 * np.eye(2)
    variances = np.diag(total)
    expected = (
        0.5 * np.linalg.slogdet(total / noise**2)[1],
        0.5 * (np.log(variances).sum() - np.linalg.slogdet(total)[1]),
        0.5 * np.sum(variances - 1.0 - np.log(variances)),
    )
    # Of 3,000 draws; the mixture of 3,000 normals is no normal, by far less than that.
    np.testing.assert_allclose(found, expected, atol=0.06)
    slow = marginal_kl(posteriors, PRIOR, jax.random.key(1))
    np.testing.assert_allclose((slow.total_correlation, slow.dimension_wise.sum()), expected[1:], atol=0.06)


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_stratified_densities_are_unbiased_over_all_batches(batch: int) -> None:
    codes = MEANS + 0.3
    exact, exact_marginals = mixture(np.asarray(codes, np.float64))
    for own in range(4):
        rest = [i for i in range(4) if i != own]
        found = {name: [] for name in SCHEMES}
        for others in itertools.combinations(rest, batch - 1):
            rows = jnp.array([own, *others])
            seen = vj.DiagNormal(MEANS[rows], SCALES[rows])
            for name, scheme in SCHEMES.items():
                joint, marginals = aggregate_log_probs(seen, codes[rows], scheme(batch, 4))
                found[name].append(np.concatenate([np.exp(joint[:1]), np.exp(marginals[0])]))
        means = {name: np.mean(values, axis=0) for name, values in found.items()}
        np.testing.assert_allclose(means["stratified"], [exact[own], *exact_marginals[own]], rtol=1e-5)
        # All weights sum to 1/N, and not to 1.
        assert (means["weighted"] < [exact[own], *exact_marginals[own]]).all()


def test_weights_of_a_row() -> None:
    np.testing.assert_allclose(jnp.exp(stratified_log_weights(5, 100)).sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(weighted_log_weights(5, 100)).sum(axis=1), 1.0 / 100, rtol=1e-6)


def test_gradients_are_finite_where_codes_are_far_apart() -> None:
    def loss(mean: jax.Array) -> jax.Array:
        posteriors = vj.DiagNormal(mean, jnp.full((4, 2), 1e-3))
        parts = split_rate(posteriors, PRIOR, mean + 1e-3, stratified_log_weights(4, 1000))
        return sum(parts, start=jnp.zeros(()))

    assert np.isfinite(jax.grad(loss)(1e3 * MEANS)).all()


def test_bad_input() -> None:
    for scheme in SCHEMES.values():
        with pytest.raises(ValueError, match="a batch of 2 to 10 of them, got 1"):
            scheme(1, 10)
        with pytest.raises(ValueError, match="a batch of 2 to 10 of them, got 11"):
            scheme(11, 10)
    full = jax.vmap(lambda m: vj.FullNormal(m, jnp.eye(2)))(MEANS)
    with pytest.raises(TypeError, match="posteriors must be DiagNormal, got FullNormal, which does not factorise"):
        split_rate(full, PRIOR, MEANS, stratified_log_weights(4, 4))  # pyright: ignore[reportArgumentType]
