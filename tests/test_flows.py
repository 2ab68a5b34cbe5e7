import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.bijections.table import BIJECTIONS, SIZE, iaf, planar, stacked
from tests.members import mean_and_error
from vae_jax.bijections.bijection import Bijection
from vae_jax.bijections.planar import Planar
from vae_jax.core.trees import freeze
from vae_jax.distributions import sample_and_path_log_prob
from vae_jax.flows import Transformed, flow

rows = pytest.mark.parametrize("bijection", BIJECTIONS.values(), ids=BIJECTIONS)


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


@pytest.mark.parametrize(
    "name",
    [
        *("Planar", "Radial, expanding", "AutoregressiveAffine", "Stacked"),
        pytest.param("SplineCoupling", marks=pytest.mark.slow),
    ],
)
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


def test_flow_composes() -> None:
    one, two = planar(1), iaf(2)
    z = jnp.array([0.1, -0.4, 0.8])
    base = vj.standard_normal(SIZE)
    assert isinstance(flow(base, one).bijection, Planar)
    by_hand = two.forward(one.forward(z)[0])[0]
    np.testing.assert_allclose(flow(base, one, two).bijection.forward(z)[0], by_hand)
