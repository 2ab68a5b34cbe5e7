import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.train import assign


def test_assign_has_no_value_and_a_gradient_to_the_target() -> None:
    value, slope = jax.value_and_grad(assign)(jnp.array([1.0, 2.0]), jnp.array([0.0, 5.0]))
    assert value == 0.0
    np.testing.assert_allclose(slope, [1.0, -3.0])
    np.testing.assert_allclose(jax.grad(assign, argnums=1)(jnp.ones(2), jnp.zeros(2)), [0.0, 0.0])


def test_under_plain_sgd_it_is_a_running_mean() -> None:
    tx, value = optax.sgd(1.0 - 0.9), jnp.array([1.0, 2.0])
    target = jnp.array([3.0, -1.0])
    updates, _ = tx.update(jax.grad(assign)(value, target), tx.init(value))
    np.testing.assert_allclose(optax.apply_updates(value, updates), 0.9 * value + 0.1 * target, rtol=1e-6)
