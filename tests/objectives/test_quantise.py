"""Quantisation: against brute force, closed forms, and what a straight-through gradient is."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.objectives.quantise import (
    cluster_sums,
    codebook_distance,
    commitment,
    finite_codes,
    finite_scalars,
    nearest_index,
    perplexity,
    quantise,
    straight_through,
)

CODEBOOK = jax.random.normal(jax.random.key(0), (11, 3))
Z = jax.random.normal(jax.random.key(1), (5, 4, 3))


def test_the_nearest_code_is_that_of_brute_force() -> None:
    distances = np.square(np.asarray(Z)[..., None, :] - np.asarray(CODEBOOK)).sum(axis=-1)
    np.testing.assert_array_equal(nearest_index(CODEBOOK, Z), distances.argmin(axis=-1))
    for one in (jax.jit(nearest_index)(CODEBOOK, Z), jax.vmap(lambda z: nearest_index(CODEBOOK, z))(Z)):
        np.testing.assert_array_equal(one, distances.argmin(axis=-1))


def test_of_equal_codes_the_first_is_taken_and_near_ones_are_told_apart() -> None:
    codebook = jnp.stack([jnp.zeros(2), jnp.ones(2), jnp.ones(2), jnp.ones(2) + 1e-2])
    assert nearest_index(codebook, jnp.array([[0.9, 1.0], [0.1, 0.0], [1.02, 1.02]])).tolist() == [1, 0, 3]
    many = jax.random.normal(jax.random.key(4), (2000, 8)) * 1e3
    np.testing.assert_array_equal(nearest_index(many, many), jnp.arange(2000))


@pytest.mark.parametrize("place", [30.0, 1e3, -1e4])
def test_far_from_the_origin_the_nearest_is_found(place: float) -> None:
    random = np.random.default_rng(5)
    codebook, z = (np.float32(random.normal(size=(size, 4)) + place) for size in (512, 300))
    distances = np.square(z[:, None].astype(np.float64) - codebook[None]).sum(axis=-1)
    np.testing.assert_array_equal(nearest_index(jnp.asarray(codebook), jnp.asarray(z)), distances.argmin(axis=1))


def test_quantising_twice_changes_nothing() -> None:
    once = quantise(CODEBOOK, Z)
    twice = quantise(CODEBOOK, once.value)
    np.testing.assert_array_equal(once.number, twice.number)
    np.testing.assert_allclose(once.value, twice.value, atol=1e-6)
    np.testing.assert_array_equal(quantise(CODEBOOK, CODEBOOK).number, jnp.arange(11))


def test_gradients_go_where_they_should() -> None:
    direction = jax.random.normal(jax.random.key(2), Z.shape)
    through = jax.grad(lambda z: jnp.sum(direction * quantise(CODEBOOK, z).value))(Z)
    np.testing.assert_array_equal(through, direction)
    assert not np.any(jax.grad(lambda c: jnp.sum(direction * quantise(c, Z).value))(CODEBOOK))

    def both(codebook: jax.Array, z: jax.Array) -> jax.Array:
        found = quantise(codebook, z)
        return codebook_distance(z, found.nearest) + 0.25 * commitment(z, found.nearest)

    of_codes, of_z = jax.grad(both, argnums=(0, 1))(CODEBOOK, Z)
    nearest = np.asarray(CODEBOOK[quantise(CODEBOOK, Z).number])
    np.testing.assert_allclose(of_z, 0.25 * 2.0 * (np.asarray(Z) - nearest), rtol=1e-4, atol=1e-7)
    expected = np.zeros((11, 3))
    np.add.at(expected, np.asarray(quantise(CODEBOOK, Z).number), 2.0 * (nearest - np.asarray(Z)))
    np.testing.assert_allclose(of_codes, expected, rtol=1e-4, atol=1e-6)


def test_straight_through_is_the_identity_backwards() -> None:
    value, slope = jax.value_and_grad(lambda z: straight_through(z, jnp.round(z)))(1.3)
    assert (float(value), float(slope)) == (1.0, 1.0)


def test_sums_of_clusters() -> None:
    index = np.asarray(nearest_index(CODEBOOK, Z.reshape(-1, 3)))
    counts, sums = cluster_sums(jnp.asarray(index), Z.reshape(-1, 3), 11)
    np.testing.assert_array_equal(counts, np.bincount(index, minlength=11))
    for code in range(11):
        np.testing.assert_allclose(sums[code], np.asarray(Z).reshape(-1, 3)[index == code].sum(axis=0), atol=1e-5)


def test_perplexity() -> None:
    assert float(perplexity(jnp.ones(7))) == pytest.approx(7.0, rel=1e-5)
    assert float(perplexity(jnp.array([5.0, 0.0, 0.0]))) == pytest.approx(1.0)
    assert np.isfinite(jax.grad(perplexity)(jnp.array([5.0, 0.0]))).all()
    assert float(perplexity(jnp.zeros(3))) == pytest.approx(1.0)


def test_no_array_of_all_differences_is_held() -> None:
    def shapes(jaxpr: Any) -> set[tuple[int, ...]]:
        found = {tuple(v.aval.shape) for eqn in jaxpr.eqns for v in eqn.outvars}
        for eqn in jaxpr.eqns:
            for value in eqn.params.values():
                if hasattr(value, "jaxpr"):
                    found |= shapes(value.jaxpr)
        return found

    of_gradient = jax.make_jaxpr(jax.grad(lambda c, z: jnp.sum(quantise(c, z).value), argnums=(0, 1)))(CODEBOOK, Z)
    assert all(np.prod(shape) < 5 * 4 * 11 * 3 for shape in shapes(of_gradient.jaxpr))


@pytest.mark.parametrize("levels", [(3,), (2, 5), (8, 5, 5), (4, 4, 4, 3)])
def test_finite_scalars_are_the_nearest_of_their_grid(levels: tuple[int, ...]) -> None:
    codes = finite_codes(levels)
    assert codes.shape == (np.prod(levels), len(levels))
    assert len(np.unique(codes, axis=0)) == len(codes)
    z = 2.0 * jax.random.normal(jax.random.key(3), (50, len(levels)))
    found = finite_scalars(levels, z)
    np.testing.assert_allclose(found.value, codes[np.asarray(found.number)], atol=1e-6)
    distances = np.square(np.tanh(np.asarray(z))[:, None] - codes).sum(axis=-1)
    np.testing.assert_array_equal(found.number, distances.argmin(axis=1))
    # Every code can be reached, and rounding what was rounded changes nothing: the codes are where tanh is.
    inside = np.arctanh(np.clip(codes, -0.999, 0.999))
    np.testing.assert_array_equal(finite_scalars(levels, jnp.asarray(inside)).number, np.arange(len(codes)))
    slope = jax.grad(lambda z: jnp.sum(finite_scalars(levels, z).value))(z)
    np.testing.assert_allclose(slope, 1.0 - np.tanh(np.asarray(z)) ** 2, rtol=1e-4, atol=1e-6)


def test_finite_scalars_at_extremes() -> None:
    z = jnp.array([[1e4, -1e4]])
    assert finite_scalars((5, 4), z).value.tolist() == [[1.0, -1.0]]
    assert np.isfinite(jax.grad(lambda z: jnp.sum(finite_scalars((5, 4), z).value))(z)).all()


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"2 levels \(3, 5\) round vectors of 2 dimensions, got 3"):
        finite_scalars((3, 5), Z)
    with pytest.raises(ValueError, match=r"at least 2 levels in each dimension, got \(1, 5\)"):
        finite_codes((1, 5))
    with pytest.raises(ValueError, match=r"codebook must have shape \(K, d\) with K >= 2, got \(1, 3\)"):
        quantise(CODEBOOK[:1], Z)
    with pytest.raises(ValueError, match="vectors of 2 dimensions cannot be told by codes of 3"):
        quantise(CODEBOOK, Z[..., :2])


@pytest.mark.parametrize(("kind", "size"), [(jnp.float16, 8), (jnp.float16, 600), (jnp.bfloat16, 512)])
def test_codes_in_half_precision_are_those_of_float32(kind: Any, size: int) -> None:
    codebook = jax.random.normal(jax.random.key(2), (size, 4), kind)
    wide = codebook.astype(jnp.float32)
    np.testing.assert_array_equal(nearest_index(codebook, codebook), nearest_index(wide, wide))
    assert quantise(codebook, codebook).value.dtype == kind


def test_more_codes_than_a_number_can_tell_are_refused() -> None:
    with pytest.raises(ValueError, match="are 8,589,934,592 codes"):
        finite_scalars((8,) * 11, jnp.zeros(11))
