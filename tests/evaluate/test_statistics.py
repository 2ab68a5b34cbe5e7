import jax.numpy as jnp
import numpy as np
import scipy.stats

from vae_jax.evaluate.statistics import standard_error


def test_it_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(standard_error(values), scipy.stats.sem(values, axis=0))
    np.testing.assert_allclose(standard_error(jnp.asarray(values)), scipy.stats.sem(values, axis=0), rtol=1e-5)
    assert standard_error(values[:, 0]).dtype == np.float64


def test_one_value_has_no_spread() -> None:
    assert np.isnan(standard_error(np.array([3.0])))
    assert np.isnan(standard_error(jnp.ones((1, 2)))).all()
