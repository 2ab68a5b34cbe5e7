import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.bijections.table import BIJECTIONS, SIZE, iaf, planar, somewhere, stacked
from tests.members import mean_and_error
from vae_jax.bijections.autoregressive import AutoregressiveAffine
from vae_jax.bijections.bijection import Bijection
from vae_jax.bijections.planar import Planar
from vae_jax.core.trees import freeze
from vae_jax.distributions import sample_and_path_log_prob
from vae_jax.flows import Transformed, flow
from vae_jax.nets.conditioners import masked_affine

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


def _mapped(params, z):
    return vj.DiagNormal(jnp.tanh(params["weight"] @ z), params["scale"])


def _flow(params, z):
    """Base and bijections depend on z, and on parameters of their own."""
    bend = Planar(params["u"] + z, params["w"], 0.3 * z[0])
    return flow(_mapped(params, z), bend, AutoregressiveAffine(Partial(masked_affine, params["masked"])))


def _add(params, state, z):
    return params["weight"] @ state + z


_START = jnp.array([0.3, -0.5, 0.2])
# By name: of the parameters of a flow and of a normal, the posterior; of a normal alone, the prior of the same form.
PARTS = {
    "a flow of a flow": lambda f, n, p: Transformed(p(f, _START), stacked(planar(4), planar(5))),
    "the first layer": lambda f, n, p: vj.bottom_up(p(f, _START), Partial(_mapped, n)),
    "the last layer": lambda f, n, p: vj.bottom_up(_mapped(n, _START), Partial(p, f)),
    "two layers": lambda f, n, p: vj.bottom_up(p(f, _START), Partial(p, f), Partial(_mapped, n)),
    "along a path": lambda f, n, p: vj.top_down_path(
        f["w"] * _START, [Partial(p, f), Partial(_mapped, n), Partial(p, f)], [Partial(_add, n)] * 3
    ),
    "a chain in a chain": lambda f, n, p: vj.bottom_up(
        p(f, _START), Partial(lambda fn, z: vj.bottom_up(p(fn[0], z), Partial(_mapped, fn[1])), (f, n))
    ),
    "a column": lambda f, n, p: vj.Product({"b": p(f, _START), "a": _mapped(n, _START)}),
}


# The others compile for seconds; they run with `pytest -m slow`.
@pytest.mark.parametrize(
    ("name", "estimate"),
    [
        *(
            pytest.param(name, vj.dreg(vj.iwae), id=name, marks=() if name == "two layers" else pytest.mark.slow)
            for name in PARTS
        ),
        pytest.param("the last layer", vj.stl(vj.elbo), id="stl"),
    ],
)
def test_a_flow_that_is_a_part_does_not_invert_its_sample(name: str, estimate, monkeypatch) -> None:
    normal = {"weight": jax.random.normal(jax.random.key(0), (SIZE, SIZE)), "scale": jnp.array([0.5, 0.7, 0.9])}
    bends = {"u": jnp.array([0.2, -0.4, 0.5]), "w": jnp.array([0.6, 0.3, -0.2])}
    params = {"f": normal | bends | {"masked": somewhere(1, (SIZE, 6, 2 * SIZE))}, "n": normal}
    prior = PARTS[name](params["f"], normal, _mapped)
    model = vj.VAE(
        encode=lambda p, x: PARTS[name](p["f"], p["n"], _flow),
        decode=lambda p, z: vj.DiagNormal(sum(jnp.sin(leaf) for leaf in jax.tree.leaves(z)), p["n"]["scale"]),
        prior=lambda p: vj.standard_normal(SIZE) if name == "a flow of a flow" else prior,
    )

    def slope():
        # A function of its own each time: `jit` knows one again, and what it called then.
        return jax.jit(jax.value_and_grad(lambda p: estimate(model, p, jax.random.key(1), _START, num_samples=2)))(
            params
        )

    def by_inverse(distribution, key):
        value = distribution.sample(key)
        return value, freeze(distribution).log_prob(value)

    with monkeypatch.context() as patched:
        patched.setattr("vae_jax.objectives.estimators.sample_and_path_log_prob", by_inverse)
        expected = slope()

    def inverted(*arguments):
        raise AssertionError("inverted")

    for kind in (Planar, AutoregressiveAffine):
        monkeypatch.setattr(kind, "inverse", inverted)
    chex.assert_trees_all_close(slope(), expected, rtol=2e-3, atol=2e-3)


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
