import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import vae_jax as vj
from tests.members import mean_and_error


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


@pytest.mark.parametrize(("size", "kappa"), [(2, 1.0), (3, 0.1), (5, 8.0), (30, 50.0)])
def test_a_sample_differentiates_in_the_concentration(size: int, kappa: float) -> None:
    """The mean of the samples' derivative is the derivative of the mean, which is known."""
    direction = jnp.eye(size)[0]

    def along(kappa, key):
        return vj.VonMisesFisher(direction, kappa).sample(key)[0]

    keys = jax.random.split(jax.random.key(0), 20_000)
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(along), in_axes=(None, 0)))(jnp.float32(kappa), keys)
    mean = lambda kappa: vj.VonMisesFisher(direction, kappa).mean[0]
    for found, expected in ((values, mean(kappa)), (slopes, jax.grad(mean)(jnp.float32(kappa)))):
        level, error = mean_and_error(found)
        assert abs(level - expected) < 4 * error + 1e-6


def test_the_kl_to_the_uniform_is_the_mean_of_the_log_ratio() -> None:
    q, p = vj.VonMisesFisher(jnp.array([1.0, 2.0, -1.0, 0.5]), jnp.float32(6.0)), vj.UniformSphere(4)
    draws = q.sample(jax.random.key(0), (40_000,))
    level, error = mean_and_error(jax.vmap(lambda v: q.log_prob(v) - p.log_prob(v))(draws))
    assert abs(level - vj.kl(q, p)) < 4 * error
    np.testing.assert_allclose(vj.kl(vj.VonMisesFisher(q.direction, jnp.float32(1e-4)), p), 0.0, atol=1e-5)
