import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from vae_jax.evaluate.pareto import pareto_k, tail_size


@pytest.mark.parametrize("shape", [-0.2, 0.1, 0.5, 0.9, 1.5])
def test_it_finds_the_shape_of_a_pareto_tail(shape: float) -> None:
    weights = 1.0 + scipy.stats.genpareto(shape).rvs((200, 20_000), random_state=0)
    size = tail_size(20_000)
    largest = np.sort(np.log(weights), axis=1)[:, -size - 1 :]
    found = np.asarray(jax.vmap(pareto_k)(jnp.asarray(largest, jnp.float32)))
    assert np.isfinite(found).all()
    # The prior of weight 10 at 0.5 among 424 tail weights pulls by at most 0.03; the mean of 200 fits is quiet.
    assert abs(found.mean() - shape) < 0.06
    assert found.std() == pytest.approx((1 + shape) / size**0.5, rel=0.35)


def test_equal_weights_have_no_tail_and_order_does_not_matter() -> None:
    assert pareto_k(jnp.full(20, -3.0)) == -jnp.inf
    # Equal but for rounding, with ties.
    assert pareto_k(-300.0 + 3e-5 * (jnp.arange(20) > 15)) == -jnp.inf
    assert pareto_k(jnp.append(jnp.full(20, -300.0), 0.0)) == jnp.inf
    largest = jax.random.normal(jax.random.key(0), (30,))
    np.testing.assert_allclose(pareto_k(largest), pareto_k(largest[::-1]))
    np.testing.assert_allclose(pareto_k(largest), pareto_k(largest - 500.0), rtol=1e-3)


def test_a_few_distinct_weights_have_no_tail_to_fit() -> None:
    """As those of one choice among ten: many are the same."""
    log_w = np.log(np.where(np.arange(1000) < 50, 1.2, 1.0))
    largest = np.sort(log_w)[-tail_size(1000) - 1 :]
    assert np.isnan(pareto_k(jnp.asarray(largest, jnp.float32)))


def test_the_size_of_the_tail() -> None:
    assert [tail_size(k) for k in (1, 24, 25, 100, 1000, 5000)] == [0, 0, 5, 20, 94, 212]
