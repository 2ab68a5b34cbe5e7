import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.members import linear_gaussian_decoder, linear_gaussian_params
from vae_jax.evaluate.annealed import ais, bdmc, temperatures
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

MODEL = linear_gaussian()
# AIS never asks the encoder, so one that is far off changes nothing.
PARAMS = linear_gaussian_params(shift=3.0, width=0.2)


@pytest.fixture(scope="module")
def sandwiches():
    def run(num_temperatures: int):
        one = lambda key: bdmc(MODEL, PARAMS, key, num_temperatures=num_temperatures, num_integration_steps=5)
        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 200))

    return {num: run(num) for num in (10, 200)}


def test_exact_within_its_error(sandwiches) -> None:
    found = sandwiches[200]
    exact = jax.vmap(marginal(linear_gaussian_decoder()).log_prob)(found.x)
    for side in (found.lower, found.upper):
        assert float((jnp.abs(side.value - exact) < 3 * side.standard_error).mean()) >= 0.95
        np.testing.assert_allclose(side.value.mean(), exact.mean(), atol=0.02)
    # The encoder's own importance sampling is lost here.
    keys = jax.random.split(jax.random.key(1), 200)
    sampled = jax.jit(jax.vmap(lambda key, x: vj.log_marginal(MODEL, PARAMS, key, x, num_samples=1000)))(keys, found.x)
    assert sampled.value.mean() < exact.mean() - 1


def test_the_gap_is_of_the_right_sign_and_shrinks(sandwiches) -> None:
    def gap(found):
        difference = found.upper.value - found.lower.value
        return float(difference.mean()), float(difference.std() / jnp.sqrt(200.0))

    (coarse, error), (fine, fine_error) = gap(sandwiches[10]), gap(sandwiches[200])
    assert coarse > 3 * error
    assert -3 * fine_error < fine < 0.5 * coarse


def test_step_sizes_are_tuned(sandwiches) -> None:
    assert 0.5 < float(sandwiches[200].lower.acceptance.mean()) < 0.85


def test_temperatures_go_from_zero_to_one() -> None:
    levels = temperatures(50)
    np.testing.assert_allclose(levels[jnp.array([0, 25, 50])], [0.0, 0.5, 1.0], atol=1e-6)
    assert bool((jnp.diff(levels) > 0).all())


def test_codes_of_several_layers() -> None:
    """z may be a tuple: a chain z2 -> z1 -> x of normals has a normal marginal."""
    lower = jax.tree_util.Partial(lambda w, z: vj.DiagNormal(w * z, 0.5 * jnp.ones(1)), jnp.array(0.8))
    model = vj.VAE(
        encode=lambda p, x: vj.bottom_up(vj.standard_normal(1), lower),
        decode=lambda p, z: vj.DiagNormal(z[0], 0.7 * jnp.ones(1)),
        prior=lambda p: vj.top_down(vj.standard_normal(1), lower),
    )
    found = jax.jit(lambda key: ais(model, None, key, jnp.array([1.3]), num_temperatures=300))(jax.random.key(0))
    exact = vj.DiagNormal(jnp.zeros(1), jnp.sqrt(jnp.array([0.64 + 0.25 + 0.49]))).log_prob(jnp.array([1.3]))
    assert abs(found.value - exact) < 4 * found.standard_error


@pytest.mark.parametrize(
    ("prior", "decode"),
    [
        (vj.UniformSphere(3), lambda z: z),
        (vj.Bernoulli(jnp.zeros(3)), lambda z: z),
        (vj.OneHotCategorical(jnp.zeros((1, 3))), lambda z: z[0]),
        (vj.Concrete(jnp.zeros((1, 3)), jnp.array(0.5)), lambda z: z[0]),
        (vj.Categorical(jnp.zeros((3, 4))), lambda z: z.astype(jnp.float32)),
        (vj.Mixture(jnp.zeros(2), vj.Bernoulli(jnp.zeros((2, 3)))), lambda z: z),
        (vj.Poisson(jnp.zeros(3)), lambda z: z),
        (vj.Autoregressive(Partial(vj.Bernoulli), (3,)), lambda z: z),
        (vj.top_down(vj.standard_normal(3), Partial(vj.Bernoulli)), lambda z: z[0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_codes_that_are_no_vectors_are_refused(prior, decode) -> None:
    model = vj.VAE(lambda p, x: prior, lambda p, z: vj.DiagNormal(decode(z), jnp.ones(3)), lambda p: prior)
    with pytest.raises(TypeError, match=f"ais: .*leave the values of a {type(prior).__name__}|leave the values of a B"):
        ais(model, None, jax.random.key(0), jnp.zeros(3), num_temperatures=2)
    with pytest.raises(TypeError, match="Hamiltonian"):
        jax.vmap(lambda key: bdmc(model, None, key, num_temperatures=2))(jax.random.split(jax.random.key(0), 2))


def test_a_mixture_is_a_prior_of_vectors() -> None:
    prior = vj.Mixture(jnp.zeros(2), vj.DiagNormal(jnp.array([[-1.0], [1.0]]), jnp.ones((2, 1))))
    model = vj.VAE(lambda p, x: prior, lambda p, z: vj.DiagNormal(z, jnp.ones(1)), lambda p: prior)
    found = ais(model, None, jax.random.key(0), jnp.array([0.5]), num_chains=200, num_temperatures=50)
    exact = vj.Mixture(jnp.zeros(2), vj.DiagNormal(jnp.array([[-1.0], [1.0]]), jnp.full((2, 1), 2.0**0.5)))
    assert abs(found.value - exact.log_prob(jnp.array([0.5]))) < 4 * found.standard_error


def test_bad_arguments() -> None:
    for name in ("num_chains", "num_temperatures", "num_integration_steps"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
            ais(MODEL, PARAMS, jax.random.key(0), jnp.zeros(3), **{name: 0})
