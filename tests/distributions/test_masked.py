"""A likelihood of the elements that were observed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import vae_jax as vj
from tests.members import X

MASK = jnp.array([True, False, True])
SCALE = jnp.array([0.5, 1.0, 2.0])


@pytest.mark.parametrize("hole", [0.0, 1e30, jnp.nan, jnp.inf])
def test_what_stands_in_a_gap_reaches_neither_value_nor_gradient(hole: float) -> None:
    def log_prob(loc, x):
        return vj.Masked(vj.DiagNormal(loc, SCALE)).log_prob(vj.Observed(x, MASK))

    x, loc = X.at[1].set(hole), jnp.array([0.1, 0.2, 0.3])
    value, slopes = jax.value_and_grad(log_prob, argnums=(0, 1))(loc, x)
    expected = scipy.stats.norm(loc, SCALE).logpdf(X)
    np.testing.assert_allclose(value, expected[0] + expected[2], rtol=1e-5)
    slope = (np.asarray(X) - loc) / np.square(SCALE) * MASK
    np.testing.assert_allclose(slopes[0], slope, rtol=1e-5)
    np.testing.assert_allclose(slopes[1], -slope, rtol=1e-5)


def test_with_nothing_observed_nothing_is_said_and_with_everything_all() -> None:
    d = vj.DiagNormal(jnp.zeros(3), SCALE)
    assert vj.Masked(d).log_prob(vj.Observed(X, jnp.zeros(3, bool))) == 0.0
    np.testing.assert_allclose(vj.Masked(d).log_prob(vj.Observed(X, jnp.ones(3, bool))), d.log_prob(X), rtol=1e-6)


def test_columns_of_several_types_have_masks_of_their_own() -> None:
    d = vj.Masked(vj.Product({"count": vj.Poisson(jnp.zeros(2)), "size": vj.DiagNormal(jnp.zeros(1), jnp.ones(1))}))
    value = {"count": jnp.array([2, 5]), "size": jnp.array([0.7])}
    masks = {"count": jnp.array([True, False]), "size": jnp.array([True])}
    expected = scipy.stats.poisson(1.0).logpmf(2) + scipy.stats.norm().logpdf(0.7)
    np.testing.assert_allclose(d.log_prob(vj.Observed(value, masks)), expected, rtol=1e-5)


def test_a_sample_is_complete_and_a_gap_is_filled_with_zero() -> None:
    d = vj.Masked(vj.DiagNormal(jnp.zeros(3), SCALE))
    drawn = d.sample(jax.random.key(0), (4,))
    assert drawn.value.shape == drawn.mask.shape == (4, 3)
    assert drawn.mask.all()
    assert d.reparameterised
    np.testing.assert_array_equal(vj.Observed(X.at[1].set(jnp.nan), MASK).filled, X.at[1].set(0.0))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mask must have the shape of the value, \(3,\), got \(2,\)"):
        vj.Masked(vj.standard_normal(3)).log_prob(vj.Observed(X, jnp.ones(2, bool)))
    with pytest.raises(TypeError, match=r"must be an Observed\(value, mask\), got"):
        vj.Masked(vj.standard_normal(3)).log_prob(X)
    with pytest.raises(TypeError, match="FullNormal has no log_probs"):
        vj.Masked(vj.FullNormal(X, jnp.eye(3))).log_prob(vj.Observed(X, MASK))
