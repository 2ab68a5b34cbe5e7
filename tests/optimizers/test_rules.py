import dataclasses
import typing
from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax.config import Optimizer
from vae_jax.optimizers.rules import skipping
from vae_jax.train import make_optimizer, make_schedule

HINTS = typing.get_type_hints(Optimizer)


@pytest.mark.parametrize("name", typing.get_args(HINTS["optimizer"]))
def test_every_optimizer_goes_downhill(name: str) -> None:
    rate = 0.5 if name == "adagrad" else 0.05
    tx = make_optimizer(Optimizer(optimizer=name, learning_rate=rate, clip_norm=10.0), 100)  # pyright: ignore
    params = {"w": jnp.ones((3, 2)), "b": jnp.ones(2)}

    def loss(params):
        return sum(jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params))

    @jax.jit
    def step(params, state):
        updates, state = tx.update(jax.grad(loss)(params), state, params)
        return jax.tree.map(jnp.add, params, updates), state

    state = tx.init(params)
    for _ in range(100):
        params, state = step(params, state)
    assert float(loss(params)) < 0.5


@pytest.mark.parametrize("name", typing.get_args(HINTS["schedule"]))
def test_every_schedule_starts_at_the_peak_and_ends_where_it_says(name: str) -> None:
    config = Optimizer(schedule=name, learning_rate=2e-3, final_fraction=0.1)  # pyright: ignore
    schedule = make_schedule(config, 1000)
    np.testing.assert_allclose(schedule(0), 2e-3, rtol=1e-5)
    np.testing.assert_allclose(schedule(1000), 2e-3 if name == "constant" else 2e-4, rtol=1e-4)
    warm = make_schedule(dataclasses.replace(config, warmup_steps=100), 1000)
    np.testing.assert_allclose([warm(0), warm(50), warm(100)], [0.0, 1e-3, 2e-3], rtol=1e-5)


def test_the_ladder_is_that_of_the_paper() -> None:
    schedule = make_schedule(Optimizer(schedule="ladder", learning_rate=1e-3), 3280)
    start = 0
    for stair in range(8):
        end = start + 3**stair
        for step in (start, end - 1):
            np.testing.assert_allclose(schedule(step), 1e-3 * 10 ** (-stair / 7), rtol=1e-5)
        start = end
    assert start == 3280


def test_a_step_with_too_large_a_gradient_is_left_out() -> None:
    tx = make_optimizer(Optimizer(optimizer="adam", learning_rate=0.1, skip_norm=5.0), 100)
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    updates, after = tx.update({"w": jnp.array([30.0, 40.0])}, state, params)
    np.testing.assert_array_equal(updates["w"], 0.0)
    # Nor does the optimiser remember it: the next step is the first.
    small = {"w": jnp.array([3.0, 3.9])}
    expected, _ = tx.update(small, state, params)
    found, _ = tx.update(small, after, params)
    np.testing.assert_array_equal(found["w"], expected["w"])
    assert (found["w"] != 0.0).all()


def test_it_does_what_multi_steps_of_optax_does_with_the_same_state() -> None:
    # A run that was begun with that must go on to the same numbers.
    rule = optax.adam(0.1)
    skips = partial(optax.skip_large_updates, max_squared_norm=25.0)
    expected, found = optax.MultiSteps(rule, 1, should_skip_update_fn=skips), skipping(rule, 5.0)
    params = {"w": jnp.ones(3), "b": jnp.zeros(())}
    states = [expected.init(params), found.init(params)]
    gradients = jax.random.normal(jax.random.key(0), (12, 3)) * jnp.array([[1.0], [4.0], [jnp.nan], [2.0]] * 3)
    for row in gradients:
        gradient = {"w": row, "b": row.sum()}
        updates: list[Any] = [None, None]
        for i, transformation in enumerate((expected, found)):
            updates[i], states[i] = transformation.update(gradient, states[i], params)
        chex.assert_trees_all_close(updates[1], updates[0], rtol=1e-6)
    chex.assert_trees_all_close(states[1], states[0], rtol=1e-6)
    assert 0 < int(states[1].gradient_step) < 12


@pytest.mark.parametrize("gradient", [jnp.nan, jnp.inf, 1e30])
def test_a_norm_that_is_not_finite_leaves_the_state_finite(gradient: float) -> None:
    tx = skipping(optax.adam(0.1), 5.0)
    params = {"w": jnp.ones(3)}
    updates, state = tx.update({"w": jnp.full(3, gradient)}, tx.init(params), params)
    assert not updates["w"].any()
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
