import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.systems.test_vae import CONFIG, DIGITS
from vae_jax.config import Objective, Optimizer, Stages, Train
from vae_jax.core.errors import ConfigError
from vae_jax.optimizers.rules import staged_schedule
from vae_jax.systems.parts.stages import second_stage_start, staged, staged_rules, total_steps
from vae_jax.systems.registry import validate
from vae_jax.systems.vae import build

CALLS: list[str] = []


def loss_of(name: str, power: int):
    def loss(params, key, batch, step):
        jax.debug.callback(lambda: CALLS.append(name))
        value = jnp.sum(params**power) * batch + step
        return value, {"value": value}

    return loss


def test_the_step_decides_and_only_its_loss_is_computed() -> None:
    losses = [loss_of("square", 2), loss_of("cube", 3), loss_of("fourth", 4)]
    loss = staged(losses, [10, 20])
    params = jnp.array([1.5, -0.5])
    slope = jax.jit(jax.value_and_grad(loss, has_aux=True))
    for step, chosen in ((0, 0), (9, 0), (10, 1), (19, 1), (20, 2), (1000, 2)):
        CALLS.clear()
        found = slope(params, jax.random.key(0), 2.0, jnp.float32(step))
        jax.effects_barrier()
        assert set(CALLS) == {["square", "cube", "fourth"][chosen]}
        expected = jax.value_and_grad(losses[chosen], has_aux=True)(params, jax.random.key(0), 2.0, jnp.float32(step))
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    value, _ = loss(params, jax.random.key(0), 2.0, jnp.float32(10))
    np.testing.assert_allclose(value, 2 * (1.5**3 - 0.5**3) + 10, rtol=1e-6)


def test_one_loss_is_itself() -> None:
    loss = loss_of("square", 2)
    assert staged([loss], []) is loss
    with pytest.raises(ValueError, match="2 losses need 1 starts, got 0"):
        staged([loss, loss], [])


def test_k_grows_at_its_share_of_the_run() -> None:
    objective = Objective("iwae", "total", 2, grow_to=(6,), grow_at=(0.5,))
    train = Train(epochs=2, batch_size=100)
    grown = build(dataclasses.replace(CONFIG, objective=objective, train=train), DIGITS)
    batch = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(6)).batch())
    params = grown.init(jax.random.key(1), batch)
    per_epoch = len(DIGITS.train.x) // 100
    for step, k in ((0, 2), (per_epoch - 1, 2), (per_epoch, 6)):
        fixed = build(dataclasses.replace(CONFIG, objective=Objective("iwae", "total", k)), DIGITS)
        found = jax.jit(grown.loss)(params, jax.random.key(2), batch, jnp.int32(step))[0]
        np.testing.assert_allclose(
            found, jax.jit(fixed.loss)(params, jax.random.key(2), batch, jnp.int32(0))[0], rtol=1e-5
        )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"grow_to": (5,)}, "go together, one fraction for each number: got 1 numbers and 0 fractions"),
        ({"grow_to": (5, 6), "grow_at": (0.5, 0.2)}, "--grow-at must be rising fractions of the run, got 0.5"),
        ({"grow_to": (5,), "grow_at": (1.0,)}, "below 1, got 1.0"),
        ({"grow_to": (2,), "grow_at": (0.5,)}, "--grow-to must rise from --num-samples 2, got 2"),
        ({"grow_to": (0,), "grow_at": (0.5,)}, "--grow-to must be greater than 0, got 0"),
    ],
)
def test_bad_stages_are_refused(fields, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(dataclasses.replace(CONFIG, objective=Objective("iwae", "total", 2, **fields)))


def test_each_stage_has_its_parameters_and_its_schedule() -> None:
    config = dataclasses.replace(
        CONFIG,
        train=Train(epochs=4, batch_size=len(DIGITS.train.x) // 5),
        optimizer=Optimizer(optimizer="sgd", learning_rate=0.5, schedule="linear", final_fraction=0.0),
        stages=Stages(second_stage_at=0.5, second_stage_rate=0.2),
    )
    params = {"model": jnp.zeros(2), "late": {"w": jnp.zeros(3)}, "late2": jnp.zeros(1), "own": jnp.zeros(1)}
    tx = staged_rules(config, DIGITS, "late", {"own": optax.sgd(1.0)})(optax.identity())
    assert (total_steps(config, DIGITS), second_stage_start(config, DIGITS)) == (20, 10)
    schedule = staged_schedule(config, 20)
    state, ones = tx.init(params), jax.tree.map(jnp.ones_like, params)
    for step in range(20):
        updates, state = tx.update(ones, state, params)
        first, second = -0.5 * (1 - step / 10), -0.2 * (1 - (step - 10) / 10)
        expected = (
            {"model": first, "late": 0.0, "late2": first} if step < 10 else {"model": 0, "late": second, "late2": 0}
        )
        for name, value in {**expected, "own": -1.0}.items():
            for leaf in jax.tree.leaves(updates[name]):
                np.testing.assert_allclose(leaf, value, atol=1e-6)
        np.testing.assert_allclose(schedule(step), -(first if step < 10 else second), atol=1e-6)
    with pytest.raises(ConfigError, match="--system vae is trained in two stages: .*--second-stage-at 0.5"):
        second_stage_start(dataclasses.replace(config, stages=Stages()), DIGITS)
