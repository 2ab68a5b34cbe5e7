from typing import Any

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


@pytest.mark.parametrize(("num_samples", "num_draws"), [(1, 3), (7, 1), (100, 250), (101, 5), (1000, 100)])
def test_any_number_of_samples_and_draws(num_samples: int, num_draws: int) -> None:
    x = vj.Observed(X.at[1].set(jnp.nan), MASK)
    run = lambda key: vj.impute(masked_model(), PARAMS, key, x, num_samples=num_samples, num_draws=num_draws)
    drawn = run(jax.random.key(0))
    assert drawn.shape == (num_draws, 3)
    assert np.isfinite(drawn).all()
    np.testing.assert_allclose(jax.jit(run)(jax.random.key(0)), drawn, rtol=1e-5, atol=1e-5)
    assert num_samples == 1 or num_draws == 1 or len(np.unique(drawn[:, 1])) > 1


@pytest.mark.parametrize("generator", ["threefry2x32", pytest.param("rbg", marks=pytest.mark.slow)])
def test_samples_are_chosen_by_their_weights_wherever_they_come(generator: Any) -> None:
    """Two kinds of z, of which the observed part says which: the rare one is chosen as often as its posterior says."""
    two = lambda z: vj.Masked(vj.DiagNormal(jnp.stack([2.0 * z, 10.0 * z]), jnp.array([1.0, 0.1])))
    model = vj.VAE(
        encode=lambda params, x: vj.Bernoulli(jnp.array(-1.0)),
        decode=lambda params, z: two(z),
        prior=lambda params: vj.Bernoulli(jnp.array(-1.0)),
    )
    x = vj.Observed(jnp.array([1.4, jnp.nan]), jnp.array([True, False]))
    key = jax.random.key(1, impl=generator)
    drawn = vj.impute(model, None, key, x, num_samples=10_050, num_draws=5000)
    ones = np.mean(np.asarray(drawn[:, 1]) > 5.0)
    odds = np.exp(-1.0 - 0.5 * 0.6**2 + 0.5 * 1.4**2)
    exact = odds / (1.0 + odds)
    assert abs(ones - exact) < 4.5 * np.sqrt(exact * (1.0 - exact) / 5000) + 0.02


def test_memory_grows_with_the_completions_alone() -> None:
    weight = jax.random.normal(jax.random.key(0), (20, 784))
    model = vj.VAE(
        encode=lambda params, x: vj.standard_normal(20),
        decode=lambda params, z: vj.Masked(vj.Bernoulli(z @ params)),
        prior=lambda params: vj.standard_normal(20),
    )
    x = vj.Observed(jnp.zeros(784), jnp.arange(784) % 2 == 0)

    def peak(num_samples: int, num_draws: int) -> int:
        run = jax.jit(
            lambda x: vj.impute(model, weight, jax.random.key(0), x, num_samples=num_samples, num_draws=num_draws)
        )
        analysis = run.lower(x).compile().memory_analysis()
        assert analysis is not None
        return analysis.temp_size_in_bytes

    assert peak(100_000, 100) < 1.1 * peak(1000, 100)
    # Of 900 more draws: their keys, their places and their scores among the samples of one chunk.
    assert peak(100_000, 1000) - peak(100_000, 100) < 900 * 784 * 4


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


def test_reals_are_drawn_as_reals_beside_whole_numbers() -> None:
    model = vj.VAE(
        encode=lambda params, x: vj.standard_normal(1),
        decode=lambda params, z: vj.Masked(vj.DiagNormal(jnp.full(2, 2.7), jnp.full(2, 0.1))),
        prior=lambda params: vj.standard_normal(1),
    )
    for kind in (jnp.int32, jnp.float32):
        x = vj.Observed(jnp.array([3, 0], kind), jnp.array([True, False]))
        drawn = vj.impute(model, None, jax.random.key(0), x, num_samples=5, num_draws=400)
        np.testing.assert_array_equal(drawn[:, 0], 3)
        assert abs(drawn[:, 1].mean() - 2.7) < 4.5 * 0.1 / 20.0
