import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params
from vae_jax.models.linear_gaussian import linear_gaussian, marginal


def test_the_score_is_minus_log_p() -> None:
    params = linear_gaussian_params()
    score = vj.anomaly_score(linear_gaussian(), params, jax.random.key(0), X, num_samples=50)
    np.testing.assert_allclose(score, -marginal(params.decoder).log_prob(X), rtol=1e-4)


def test_it_is_no_bound_where_the_encoder_is_off() -> None:
    params, sizes = linear_gaussian_params(shift=0.5), {"num_samples": 20_000, "chunk_size": 1000}
    score = vj.anomaly_score(linear_gaussian(), params, jax.random.key(0), X, **sizes)
    found = vj.log_marginal(linear_gaussian(), params, jax.random.key(1), X, **sizes)
    exact = marginal(params.decoder).log_prob(X)
    assert abs(score + exact) < 4 * found.standard_error
    # The bound is further away than that.
    assert exact - found.elbo > 20 * found.standard_error


def test_the_threshold_keeps_its_rate_for_any_number_of_scores() -> None:
    """The exact guarantee of split conformal prediction, at a size where it is tight: (n + 1) α is whole."""
    random = np.random.default_rng(0)
    for size, rate in ((19, 0.1), (99, 0.05)):
        alarms = []
        for _ in range(4000):
            scores = random.standard_normal(size + 1)
            alarms.append(scores[-1] > vj.anomaly_threshold(jnp.asarray(scores[:-1]), false_alarms=rate))
        error = np.sqrt(rate * (1 - rate) / len(alarms))
        assert abs(np.mean(alarms) - rate) < 4 * error


def test_too_few_scores_are_refused() -> None:
    with pytest.raises(ValueError, match=r"5 scores cannot bound a rate of 0.1; it needs at least 9"):
        vj.anomaly_threshold(jnp.zeros(5), false_alarms=0.1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        vj.anomaly_threshold(jnp.zeros(5), false_alarms=1.0)
    with pytest.raises(ValueError, match=r"must have 1 axis"):
        vj.anomaly_threshold(jnp.zeros((5, 2)), false_alarms=0.5)


def test_what_is_farther_than_float32_tells_has_the_largest_score() -> None:
    params = linear_gaussian_params()
    score = vj.anomaly_score(linear_gaussian(), params, jax.random.key(0), 1e30 * X, num_samples=5)
    assert score == jnp.inf
