import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from sklearn.neighbors import NearestNeighbors

import vae_jax as vj
from vae_jax.bijections import Planar
from vae_jax.models.latent import has_quantiles, quantiles, traverse, variations


def test_manifold_grid_has_equal_steps_of_probability() -> None:
    grid = vj.manifold_grid(5, tail=0.1)
    assert grid.shape == (5, 5, 2)
    np.testing.assert_allclose(scipy.stats.norm.cdf(grid[0, :, 0]), [0.1, 0.3, 0.5, 0.7, 0.9], atol=1e-6)
    assert grid[0, 0, 1] > grid[-1, 0, 1]


def test_interpolation_includes_its_ends() -> None:
    a, b = jnp.array([0.0, 1.0]), jnp.array([2.0, -1.0])
    path = vj.interpolate(a, b, 5)
    np.testing.assert_allclose(path[0], a)
    np.testing.assert_allclose(path[-1], b)
    np.testing.assert_allclose(path[2], [1.0, 0.0])


def test_a_traversal_changes_one_dimension_at_a_time() -> None:
    code, values = jnp.array([1.0, 2.0, 3.0]), jnp.array([-1.0, 0.5])
    found = traverse(code, values)
    assert found.shape == (3, 2, 3)
    for j in range(3):
        for i in range(2):
            np.testing.assert_array_equal(found[j, i], code.at[j].set(values[i]))
    # Each dimension may have values of its own.
    own = jnp.array([[1.0, 5.0, 9.0], [2.0, 6.0, 8.0]])
    np.testing.assert_array_equal(traverse(code, own)[1, 1], [1.0, 6.0, 3.0])


def test_an_arc_keeps_the_norm_and_has_equal_angles() -> None:
    a, b = jnp.array([3.0, 0.0]), jnp.array([0.0, 3.0])
    path = vj.interpolate_sphere(a, b, 4)
    np.testing.assert_allclose(jnp.linalg.norm(path, axis=1), 3.0, rtol=1e-6)
    np.testing.assert_allclose(jnp.arctan2(path[:, 1], path[:, 0]), np.linspace(0, np.pi / 2, 4), atol=1e-6)


def test_an_arc_includes_its_ends_whatever_their_norms() -> None:
    a, b = jnp.array([3.0, 0.0]), jnp.array([0.0, 1.5])
    path = vj.interpolate_sphere(a, b, 3)
    np.testing.assert_allclose(path[jnp.array([0, -1])], jnp.stack([a, b]), atol=1e-6)
    # sin ½Ω / sin Ω of either, where Ω is a right angle.
    np.testing.assert_allclose(path[1], (a + b) / np.sqrt(2.0), rtol=1e-6)


def test_between_draws_in_many_dimensions_the_line_leaves_the_shell_and_the_arc_does_not() -> None:
    starts, ends = jax.random.normal(jax.random.key(0), (2, 500, 400))
    for path, share in ((vj.interpolate, 0.5**0.5), (vj.interpolate_sphere, 1.0)):
        middle = jax.vmap(lambda a, b, path=path: path(a, b, 3)[1])(starts, ends)
        norms = jnp.linalg.norm(middle, axis=1) / 20.0
        np.testing.assert_allclose(norms.mean(), share, atol=4 * float(norms.std()) / 500**0.5 + 0.002)


@pytest.mark.parametrize("other", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
def test_where_there_is_no_arc_it_is_the_line_with_a_gradient(other: list[float]) -> None:
    a, b = jnp.array([1.0, 0.0]), jnp.array(other)
    np.testing.assert_allclose(vj.interpolate_sphere(a, b, 5), vj.interpolate(a, b, 5), atol=1e-6)
    gradient = jax.grad(lambda a, b: jnp.sum(vj.interpolate_sphere(a, b, 5)), argnums=(0, 1))(a, b)
    assert np.isfinite(gradient).all()


def test_a_j_diagram_has_its_three_codes_and_their_analogy_in_the_corners() -> None:
    a, b, c = jax.random.normal(jax.random.key(0), (3, 4))
    grid = vj.j_diagram(a, b, c, 5)
    assert grid.shape == (5, 5, 4)
    for place, code in (((0, 0), a), ((0, -1), b), ((-1, 0), c), ((-1, -1), vj.analogy(a, b, c))):
        np.testing.assert_allclose(grid[place], code, atol=1e-6)
    np.testing.assert_allclose(grid[0], vj.interpolate(a, b, 5), atol=1e-6)


def test_an_attribute_vector_is_balanced_over_what_goes_along_with_it() -> None:
    # Codes: the attribute moves the first number by 2, the other one the second by 5; nine of ten have both or neither.
    draws = np.random.default_rng(0)
    has = draws.integers(0, 2, 4000)
    other = np.where(draws.random(4000) < 0.9, has, 1 - has)
    codes = jnp.asarray(np.stack([2.0 * has, 5.0 * other], axis=1) + 0.1 * draws.standard_normal((4000, 2)))
    np.testing.assert_allclose(vj.attribute_vector(codes, has), [2.0, 4.0], atol=0.15)
    np.testing.assert_allclose(vj.attribute_vector(codes, has.astype(bool), other), [2.0, 0.0], atol=0.05)
    # A class that all have says nothing.
    third = np.where(np.arange(4000) < 100, 7, other)
    has[:100] = 1
    np.testing.assert_allclose(vj.attribute_vector(codes, has, third)[1], 0.0, atol=0.05)


def test_nearest_neighbours_are_those_of_scikit_learn() -> None:
    codes, queries = np.random.default_rng(0).standard_normal((2, 50, 3))
    expected = NearestNeighbors(n_neighbors=4).fit(codes).kneighbors(queries, return_distance=False)
    np.testing.assert_array_equal(vj.nearest(jnp.asarray(codes), jnp.asarray(queries), 4), expected)


A, B = jnp.zeros(2), jnp.zeros(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vj.interpolate(A, B, 3), "codes must be of one size, got (2,) and (3,)"),
        (lambda: vj.interpolate_sphere(A, A, 0), "num must be at least 1, got 0"),
        (lambda: vj.analogy(A, A, B), "codes must be of one size"),
        (lambda: vj.j_diagram(A, A[None], A, 3), "right must have 1 axis, got shape (1, 2)"),
        (lambda: vj.attribute_vector(A[None], [1, 0]), "has must be [n] = [1], got [2]"),
        (lambda: vj.attribute_vector(jnp.zeros((2, 2)), [1, 2]), "has must hold 0 and 1 alone"),
        (lambda: vj.attribute_vector(jnp.zeros((2, 2)), [1, 1]), "some that have not"),
        (lambda: vj.attribute_vector(jnp.zeros((2, 2)), [1, 0], [0, 1]), "some that have not, alike"),
        (lambda: vj.nearest(jnp.zeros((2, 2)), jnp.zeros((1, 2)), 3), "3 of 2 codes of 2 numbers were asked for"),
    ],
)
def test_what_cannot_be_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_quantiles_have_their_probability_below_them_and_give_draws_of_a_flow() -> None:
    normal = vj.DiagNormal(jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0]))
    share = jnp.array([0.3, 0.9])
    expected = scipy.stats.norm([1.0, -2.0], [0.5, 3.0]).ppf([0.3, 0.9])
    np.testing.assert_allclose(quantiles(normal, share), expected, rtol=1e-4)
    flow = vj.flow(normal, Planar(jnp.array([0.7, 0.2]), jnp.array([1.0, -0.5]), jnp.array(0.1)))
    uniform = jax.random.uniform(jax.random.key(0), (20_000, 2))
    drawn, found = flow.sample(jax.random.key(1), (20_000,)), jax.vmap(lambda u: quantiles(flow, u))(uniform)
    for j in range(2):
        assert scipy.stats.ks_2samp(np.asarray(drawn[:, j]), np.asarray(found[:, j])).pvalue > 1e-3
    assert has_quantiles(flow)
    mixture = vj.Mixture(jnp.zeros(2), vj.DiagNormal(jnp.zeros((2, 2)), jnp.ones((2, 2))))
    assert not has_quantiles(mixture)
    with pytest.raises(TypeError, match="a Mixture prior has no inverse distribution function"):
        quantiles(mixture, share)


def test_the_manifold_of_a_learned_scale_is_as_wide_as_it_is() -> None:
    prior = vj.DiagNormal(jnp.array([1.0, 0.0]), jnp.array([2.0, 0.1]))
    wide, standard = vj.manifold_grid(5, prior=prior), vj.manifold_grid(5)
    expected = np.array([1.0, 0.0]) + np.array([2.0, 0.1]) * np.asarray(standard)
    np.testing.assert_allclose(wide, expected, rtol=1e-5, atol=1e-6)


def test_variations_are_draws_of_the_posterior_moved_away_from_its_mean() -> None:
    posterior, key = vj.DiagNormal(jnp.array([1.0, -1.0]), jnp.array([0.5, 0.1])), jax.random.key(0)
    near, far = (variations(posterior, key, 5000, spread=spread) for spread in (1.0, 3.0))
    np.testing.assert_array_equal(near, posterior.sample(key, (5000,)))
    mean = np.asarray(posterior.mean)
    np.testing.assert_allclose(np.asarray(far) - mean, 3.0 * (np.asarray(near) - mean), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(far.std(axis=0), [1.5, 0.3], rtol=0.05)


@pytest.mark.parametrize(
    ("posterior", "spread", "error", "reason"),
    [
        (vj.PointMass(jnp.zeros(2)), 1.0, TypeError, "one point, so there is nothing to draw"),
        (vj.flow(vj.standard_normal(2), Planar(jnp.ones(2), jnp.ones(2), jnp.array(0.0))), 2.0, TypeError, "no mean"),
        (vj.VonMisesFisher(jnp.array([1.0, 0.0, 0.0]), jnp.array(9.0)), 2.0, TypeError, "on a sphere .* use spread 1"),
        (vj.standard_normal(2), 0.0, ValueError, "spread must be greater than 0, got 0.0"),
    ],
)
def test_what_cannot_vary_is_refused(posterior, spread, error, reason) -> None:
    with pytest.raises(error, match=reason):
        variations(posterior, jax.random.key(0), 3, spread=spread)


def test_codes_of_small_integers_do_not_wrap_around() -> None:
    a, b, c = (jnp.array(code, jnp.uint8) for code in ([0, 10], [200, 10], [3, 250]))
    real = [code.astype(jnp.float32) for code in (a, b, c)]
    np.testing.assert_array_equal(vj.nearest(jnp.stack([a, b]), a[None], 2), [[0, 1]])
    np.testing.assert_array_equal(vj.analogy(a, b, c), vj.analogy(*real))
    np.testing.assert_array_equal(vj.j_diagram(b, a, c, 3), vj.j_diagram(real[1], real[0], real[2], 3))
    np.testing.assert_allclose(vj.interpolate_sphere(b, c, 3), vj.interpolate_sphere(real[1], real[2], 3))
