import numpy as np
from sklearn.preprocessing import StandardScaler

from vae_jax.data.units import units_of


def test_units_are_those_of_scikit_learn_and_a_constant_keeps_its_own() -> None:
    x = np.random.default_rng(0).normal([0.0, 1e3, -5.0], [1.0, 0.01, 200.0], (50, 3))
    x[3, 0] = x[7, 2] = np.nan
    scaler = StandardScaler().fit(x)
    units = units_of(x)
    np.testing.assert_allclose(units.centre, scaler.mean_, rtol=1e-6)
    np.testing.assert_allclose(units.spread, scaler.scale_, rtol=1e-5)
    constant = units_of(np.full((5, 2), [7.3, np.nan]))
    np.testing.assert_allclose(constant.centre, [7.3, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(constant.spread, 1.0)
