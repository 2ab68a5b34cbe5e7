import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.runs import changed
from tests.systems.disentangling import BASE, BATCH, DIGITS
from vae_jax.systems import factor
from vae_jax.systems.parts.coded import coded
from vae_jax.systems.parts.critic import make_critic

CRITIC = make_critic((8,))


def test_a_critic_that_has_learned_measures_total_correlation() -> None:
    rho, size = 0.8, 500
    network = CRITIC.network
    params = {"critic": network.init(jax.random.key(0), jnp.zeros(2))["params"]}
    tx = optax.adam(1e-2)

    def draw(key: Any) -> Any:
        a, b = jax.random.normal(key, (2, size))
        return jnp.stack([a, rho * a + math.sqrt(1.0 - rho**2) * b], axis=1)

    def step(carry: Any, key: Any) -> Any:
        params, state = carry
        keys = jax.random.split(key)
        codes = draw(keys[0])
        slope = jax.grad(lambda p: CRITIC.loss(p, codes, factor.shuffled(keys[1], codes)))(params)
        updates, state = tx.update(slope, state, params)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(1), 1500)
    params = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), keys)[0][0])(params)
    found = float(jnp.mean(CRITIC.opinion(params, draw(jax.random.key(2)))))
    assert found == pytest.approx(-0.5 * math.log(1.0 - rho**2), abs=0.12)


def test_a_critic_sees_choices_as_one_row() -> None:
    config = changed(dataclasses.replace(BASE, system="factor"), "model", posterior="concrete", classes=4)
    system = factor.build(config, DIGITS)
    params = system.init(jax.random.key(0), BATCH)
    loss, metrics = system.loss(params, jax.random.key(1), BATCH, jnp.int32(0))
    assert np.isfinite(loss)
    assert coded(system.vae, params, jax.random.key(1), BATCH["x"]).codes.shape == (16, 3 * 4)
    assert metrics["critic"] > 0.0


def test_a_critic_without_an_opinion_pays_a_bit_for_each_side() -> None:
    shapes = jax.eval_shape(CRITIC.network.init, jax.random.key(0), jnp.zeros(2))["params"]
    params = {"critic": jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)}
    codes = jnp.array([[0.5, -1.0], [2.0, 0.3]])
    np.testing.assert_array_equal(CRITIC.opinion(params, codes), [0.0, 0.0])
    np.testing.assert_allclose(CRITIC.loss(params, codes, -codes), 2.0 * math.log(2.0), rtol=1e-6)


def test_its_parameters_follow_adam_at_its_own_rate_whatever_the_model_does() -> None:
    system = factor.build(dataclasses.replace(BASE, system="factor"), DIGITS)
    tx = system.optimizer(optax.set_to_zero())
    params = {"critic": jnp.array([3.0]), "encoder": jnp.array([3.0])}
    updates, _ = tx.update(params, tx.init(params), params)
    # The first step of Adam is its rate, whatever the gradient.
    np.testing.assert_allclose(updates["critic"], [-BASE.codes.critic_rate], rtol=1e-4)
    assert updates["encoder"].tolist() == [0.0]
    assert not system.comparable
