import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.bijections import BIJECTIONS, SIZE, iaf, planar, stacked
from tests.members import mean_and_error
from vae_jax.bijections.bijection import Bijection, Composed, Inverse, permute
from vae_jax.bijections.coupling import AffineCoupling
from vae_jax.bijections.planar import Planar
from vae_jax.bijections.radial import Radial
from vae_jax.core.trees import freeze
from vae_jax.distributions import sample_and_path_log_prob
from vae_jax.flows import Transformed, flow

rows = pytest.mark.parametrize("bijection", BIJECTIONS.values(), ids=BIJECTIONS)
POINTS = 1.5 * jax.random.normal(jax.random.key(0), (20, SIZE))


@rows
def test_the_inverse_undoes_the_map_and_the_determinant_is_that_of_the_jacobian(bijection: Bijection) -> None:
    assert isinstance(bijection, Bijection)

    @jax.jit
    @jax.vmap
    def check(z):
        y, log_det = bijection.forward(z)
        back, inverse_log_det = bijection.inverse(y)
        jacobian = jax.jacfwd(lambda z: bijection.forward(z)[0])(z)
        inverse_jacobian = jax.jacfwd(lambda y: bijection.inverse(y)[0])(y)
        return (y, back, bijection.forward(back)[0]), log_det, inverse_log_det, jacobian, inverse_jacobian

    (y, back, again), log_det, inverse_log_det, jacobian, inverse_jacobian = check(POINTS)
    # Where the map is flat its inverse is only as good as its image.
    np.testing.assert_allclose(again, y, atol=2e-5)
    np.testing.assert_allclose(back, POINTS, atol=2e-3)
    assert np.median(np.abs(back - POINTS)) < 2e-6
    np.testing.assert_allclose(log_det, np.linalg.slogdet(np.float64(jacobian))[1], rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=2e-3)
    np.testing.assert_allclose(inverse_jacobian @ jacobian, np.broadcast_to(np.eye(SIZE), jacobian.shape), atol=1e-2)


@rows
def test_the_path_derivative_is_that_of_the_frozen_density(bijection: Bijection) -> None:
    q = Transformed(vj.standard_normal(SIZE), bijection)

    @jax.jit
    def both(key):
        def path(shift):
            moved = Transformed(vj.DiagNormal(shift, jnp.ones(SIZE)), bijection)
            return sample_and_path_log_prob(moved, key)

        def by_inverse(shift):
            moved = Transformed(vj.DiagNormal(shift, jnp.ones(SIZE)), bijection)
            return freeze(q).log_prob(moved.sample(key))

        zero = jnp.zeros(SIZE)
        return jax.grad(lambda s: path(s)[1])(zero), jax.grad(by_inverse)(zero), path(zero)

    for seed in range(3):
        found, expected, (z, log_q) = both(jax.random.key(seed))
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(log_q, q.log_prob(z), atol=1e-4)


def _model(target):
    """A model whose posterior is `target` itself: p(x | z) says nothing of z."""
    return vj.VAE(encode=lambda q, x: q, decode=lambda q, z: vj.standard_normal(1), prior=lambda q: freeze(target))


@pytest.mark.parametrize("name", ["Planar", "Radial, expanding", "AutoregressiveAffine", "Stacked", "SplineCoupling"])
def test_path_estimators_stick_the_landing_and_are_unbiased_off_it(name: str) -> None:
    q = Transformed(vj.DiagNormal(jnp.full(SIZE, 0.1), jnp.full(SIZE, 0.8)), BIJECTIONS[name])

    def slopes(estimate, target, draws):
        one = lambda key: jax.grad(
            lambda q: estimate(_model(target), q, key, jnp.zeros(1), num_samples=3), allow_int=True
        )(q)
        found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), draws))
        return jnp.concatenate([leaf.reshape(draws, -1) for leaf in jax.tree.leaves(found)], axis=1)

    landed, noisy = (slopes(estimator(vj.elbo), q, 20) for estimator in (vj.stl, vj.total))
    assert jnp.abs(landed).max() < 3e-4 * jnp.abs(noisy).max()
    off = vj.standard_normal(SIZE)
    plain, found = (slopes(estimator(vj.iwae), off, 20_000) for estimator in (vj.total, vj.dreg))
    mean, error = mean_and_error(found - plain)
    assert float(jnp.max(jnp.abs(mean) / (error + 1e-5))) < 4.5


def test_eighty_planar_layers_compile_quickly() -> None:
    many = stacked(*(Planar(jnp.ones(5), 0.1 * jnp.ones(5), jnp.array(0.1 * i)) for i in range(80)))
    q = Transformed(vj.standard_normal(5), many)
    loss = lambda q, key: vj.stl(vj.elbo)(_model(vj.standard_normal(5)), q, key, jnp.zeros(1), num_samples=1)
    start = time.perf_counter()
    jax.jit(jax.grad(loss)).lower(q, jax.random.key(0)).compile()
    assert time.perf_counter() - start < 15.0


def test_a_flow_starts_and_stays_finite_at_extremes() -> None:
    big = jnp.array([1e4, -1e4, 3.0])
    for bijection in (
        Planar(1e3 * jnp.ones(3), -jnp.ones(3), jnp.array(0.0)),
        Planar(jnp.ones(3), jnp.zeros(3), jnp.array(0.0)),
        Radial(jnp.zeros(3), jnp.array(20.0), jnp.array(-20.0)),
        Radial(jnp.zeros(3), jnp.array(-20.0), jnp.array(20.0)),
        BIJECTIONS["SplineCoupling"],
        BIJECTIONS["AffineCoupling"],
    ):
        for z in (jnp.zeros(3), big):
            chex.assert_tree_all_finite(jax.value_and_grad(lambda z, b=bijection: sum(map(jnp.sum, b.forward(z))))(z))


def test_bad_shapes_and_permutations_are_refused() -> None:
    with pytest.raises(ValueError, match=r"permute: order must hold each of 0..2 once, got \(0, 0, 2\)"):
        permute([0, 0, 2])
    with pytest.raises(ValueError, match=r"must be one event of shape \(3,\), got \(4,\)"):
        permute([2, 0, 1]).forward(jnp.zeros(4))
    with pytest.raises(ValueError, match=r"Planar.forward.*shape \(3,\), got \(2, 3\)"):
        planar(1).forward(jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match="a coupling needs one vector of at least 2 dimensions"):
        AffineCoupling(lambda fixed: (fixed, fixed)).forward(jnp.zeros(1))


def test_flow_composes_and_inverse_turns_around() -> None:
    one, two = planar(1), iaf(2)
    z = jnp.array([0.1, -0.4, 0.8])
    base = vj.standard_normal(SIZE)
    assert isinstance(flow(base, one).bijection, Planar)
    by_hand = two.forward(one.forward(z)[0])[0]
    np.testing.assert_allclose(flow(base, one, two).bijection.forward(z)[0], by_hand)
    turned = Inverse(Composed((one, two)))
    np.testing.assert_allclose(turned.forward(by_hand)[0], z, atol=1e-5)
    np.testing.assert_allclose(turned.inverse(z)[0], by_hand, atol=1e-6)
