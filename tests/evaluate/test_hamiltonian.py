import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params
from vae_jax.evaluate.annealed import ais
from vae_jax.evaluate.hamiltonian import adapted, move, posterior_draws
from vae_jax.models.linear_gaussian import exact_encoder, linear_gaussian


def test_draws_have_the_mean_and_the_covariance_of_the_posterior() -> None:
    """From an encoder that is wrong by far, as a chain must not need a good one."""
    params = linear_gaussian_params()
    wrong = params._replace(encoder=params.encoder._replace(bias=params.encoder.bias + 4.0))
    exact = params._replace(encoder=exact_encoder(params.decoder))
    keys = jax.random.split(jax.random.key(0), 8)
    chains = jax.jit(jax.vmap(lambda key: posterior_draws(linear_gaussian(), wrong, key, X, num_draws=2000)))(keys)
    z, expected = chains.z.reshape(-1, 2), linear_gaussian().encode(exact, X)
    assert (chains.acceptance > 0.4).all()
    np.testing.assert_allclose(z.mean(axis=0), expected.loc, atol=0.05)
    np.testing.assert_allclose(np.cov(z.T), expected.covariance, atol=0.05)


def test_the_same_key_gives_the_same_chain() -> None:
    one = lambda key: posterior_draws(linear_gaussian(), linear_gaussian_params(), key, X, num_draws=5, num_warmup=5)
    first, again, other = (one(jax.random.key(seed)).z for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_move_leaves_a_density_as_it_is() -> None:
    log_density = lambda z: -0.5 * jnp.sum(jnp.square(z))
    start, keys = jax.random.normal(jax.random.key(0), (4000, 2)), jax.random.split(jax.random.key(1), 4000)
    z, acceptance = jax.vmap(lambda key, z: move(log_density, key, z, jnp.array(0.8), 5))(keys, start)
    assert 0.5 < float(acceptance.mean()) < 1.0
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.08)
    assert np.abs(np.corrcoef(z[:, 0], start[:, 0])[0, 1]) < 0.9


def test_a_step_grows_where_moves_are_accepted_too_often() -> None:
    assert adapted(jnp.array(0.0), jnp.array([1.0, 0.9])) > 0.0 > adapted(jnp.array(0.0), jnp.array([0.1, 0.3]))


def test_what_has_no_gradient_or_no_draws_is_refused() -> None:
    choices = vj.VAE(
        encode=lambda p, x: vj.OneHotCategorical(jnp.zeros((1, 2))),
        decode=lambda p, z: vj.DiagNormal(jnp.zeros(2), jnp.ones(2)),
        prior=lambda p: vj.OneHotCategorical(jnp.zeros((1, 2))),
    )
    with pytest.raises(TypeError, match=r"posterior_draws: .*values of a OneHotCategorical prior"):
        posterior_draws(choices, None, jax.random.key(0), jnp.zeros(2))
    with pytest.raises(ValueError, match="posterior_draws: num_draws must be at least 1"):
        posterior_draws(linear_gaussian(), linear_gaussian_params(), jax.random.key(0), X, num_draws=0)


@pytest.mark.parametrize("x64", [False, True])
def test_z_may_be_of_another_type_than_the_step(x64: bool) -> None:
    """A prior in half precision; under x64 one of 64 bits with an encoder of 32."""
    with jax.enable_x64(x64):
        kind = jnp.float64 if x64 else jnp.bfloat16
        single, prior = jnp.ones(2, jnp.float32), vj.DiagNormal(jnp.zeros(2, kind), jnp.ones(2, kind))
        vae = vj.VAE(
            encode=lambda params, x: vj.DiagNormal(0.0 * single, single),
            decode=lambda params, z: vj.DiagNormal(z.astype(jnp.float32), single),
            prior=lambda params: prior,
        )
        counts = {"num_integration_steps": 2}
        drawn = posterior_draws(vae, None, jax.random.key(0), single, num_draws=3, num_warmup=3, **counts)
        assert drawn.z.dtype == jnp.float32
        assert drawn.acceptance > 0.0
        annealed = ais(vae, None, jax.random.key(0), single, num_chains=2, num_temperatures=3, **counts)
        assert np.isfinite(annealed.value)


AFTERWARDS = """
import jax
import jax.numpy as jnp

from tests.members import X, linear_gaussian_params
from vae_jax.evaluate.hamiltonian import posterior_draws
from vae_jax.models.linear_gaussian import linear_gaussian

key, options = jax.random.key(0), {"num_draws": 3, "num_warmup": 2, "num_integration_steps": 1}
jax.jit(lambda x: posterior_draws(linear_gaussian(), linear_gaussian_params(), key, x, **options).z)(X)
from blackjax.adaptation.step_size import bisection_monotonic_fn

bisection_monotonic_fn(0.7)((jnp.array([-jnp.inf, jnp.inf]), False), 0.1, 0.9)
"""


def test_blackjax_is_of_use_afterwards() -> None:
    subprocess.run([sys.executable, "-c", AFTERWARDS], check=True)
