import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params, mean_and_error
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

PARAMS = linear_gaussian_params(shift=0.1, width=1.4)
MASK = jnp.array([True, False, True])


def masked_model():
    """The linear-Gaussian model of an example with gaps; its encoder sees zeros in them."""
    complete = linear_gaussian()
    return complete._replace(
        encode=lambda params, x: complete.encode(params, x.filled),
        decode=lambda params, z: vj.Masked(complete.decode(params, z)),
    )


def conditional():
    """Mean and variance of the missing x[1] given the other two, exactly."""
    joint = marginal(PARAMS.decoder)
    covariance, seen = joint.covariance, jnp.array([0, 2])
    gain = covariance[1, seen] @ jnp.linalg.inv(covariance[jnp.ix_(seen, seen)])
    return joint.loc[1] + gain @ (X[seen] - joint.loc[seen]), covariance[1, 1] - gain @ covariance[seen, 1]


def test_completions_have_the_exact_conditional_distribution() -> None:
    x = vj.Observed(X.at[1].set(jnp.nan), MASK)
    drawn = vj.impute(masked_model(), PARAMS, jax.random.key(0), x, num_samples=20_000, num_draws=4000)
    assert drawn.shape == (4000, 3)
    np.testing.assert_array_equal(drawn[:, MASK], jnp.broadcast_to(X[MASK], (4000, 2)))
    exact, variance = conditional()
    mean, error = mean_and_error(drawn[:, 1])
    assert abs(mean - exact) < 4 * error
    np.testing.assert_allclose(drawn[:, 1].var(), variance, rtol=0.1)


def test_the_gaps_are_integrated_out() -> None:
    x = vj.Observed(X.at[1].set(jnp.nan), MASK)
    found = vj.log_marginal(masked_model(), PARAMS, jax.random.key(0), x, num_samples=20_000)
    joint, seen = marginal(PARAMS.decoder), jnp.array([0, 2])
    exact = vj.FullNormal(joint.loc[seen], jnp.linalg.cholesky(joint.covariance[jnp.ix_(seen, seen)]))
    assert abs(found.value - exact.log_prob(X[seen])) < 4 * found.standard_error
    slope = jax.grad(lambda p: vj.total(vj.iwae)(masked_model(), p, jax.random.key(0), x, num_samples=3))(PARAMS)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_bad_input_is_refused() -> None:
    model, key = masked_model(), jax.random.key(0)
    with pytest.raises(ValueError, match=r"x must be one example of shape Observed"):
        vj.impute(model, PARAMS, key, vj.Observed(X, jnp.ones(2, bool)))
    with pytest.raises(TypeError, match=r"impute: decode must give a Masked likelihood, got DiagNormal"):
        vj.impute(linear_gaussian(), PARAMS, key, X)
