from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.runs import assert_equal_states
from tests.toy_systems import adversarial_system, batch_term_system, codebook_system, identity, mean_system, points
from vae_jax.config import Optimizer
from vae_jax.core.trees import num_examples
from vae_jax.train import fit, initial_state, make_optimizer, mean_metrics, train_until
from vae_jax.train.program import epoch_by_epoch, epoch_order, measured_params, steps_per_epoch, train_in_order

DATA, TX = points(), optax.adam(1e-2)


def program(system, tx=TX, batch_size=10):
    return jax.jit(lambda state, stop: train_until(system, tx, identity, DATA, state, stop, batch_size=batch_size))


@pytest.mark.parametrize("cuts", [(41,), (1, 2, 9, 22, 41), (7, 13, 20, 41)])
def test_where_a_run_is_cut_does_not_change_a_bit(cuts) -> None:
    system = mean_system()
    start = initial_state(system, TX, identity, DATA, jax.random.key(0))
    run = program(system)
    whole = run(start, 41)
    state = start
    for stop in cuts:
        state = run(state, stop)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(
            a if a.dtype != whole.key.dtype else jax.random.key_data(a),
            b if b.dtype != whole.key.dtype else jax.random.key_data(b),
        )


@pytest.mark.parametrize("averaged", [False, True])
def test_a_loop_of_ones_own_may_donate_the_state(averaged: bool) -> None:
    system = mean_system()
    state = initial_state(system, TX, identity, DATA, jax.random.key(0), averaged=averaged)
    expected = program(system)(state, 41)

    def advanced(state, stop):
        return train_until(system, TX, identity, DATA, state, stop, batch_size=10)

    donating = jax.jit(advanced, donate_argnames="state")
    memory = donating.lower(state, 41).compile().memory_analysis()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    # All but what XLA cannot give back where it came from, as the key.
    assert memory.alias_size_in_bytes > size / 2
    after = donating(state, 41)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.params))
    assert_equal_states(after, expected)


def test_the_program_is_traced_once() -> None:
    system = mean_system()
    counted = system._replace(loss=chex.assert_max_traces(system.loss, n=2))  # once for shapes, once for the program
    chex.clear_trace_counter()
    state = initial_state(counted, TX, identity, DATA, jax.random.key(0))
    run = program(counted)
    for stop in (1, 5, 30):
        state = run(state, stop)
    assert int(state.step) == 30


def test_each_epoch_sees_every_row_once_in_its_own_order() -> None:
    seen = []

    def record(key, batch):
        jax.debug.callback(lambda rows: seen.append(np.asarray(rows)), batch["row"])
        return batch

    data = {**points(60), "row": jnp.arange(60)}
    system = mean_system()
    state = initial_state(system, TX, identity, data, jax.random.key(0))
    jax.block_until_ready(train_until(system, TX, record, data, state, 12, batch_size=10))
    jax.effects_barrier()
    epochs = np.stack(seen).reshape(2, 60)
    for order in epochs:
        assert sorted(order) == list(range(60))
    assert (epochs[0] != epochs[1]).any()


def test_metrics_are_means_over_the_epoch() -> None:
    system = mean_system()
    per_epoch = steps_per_epoch(DATA, 10)
    assert per_epoch == 6
    run = program(system)
    state = initial_state(system, TX, identity, DATA, jax.random.key(0))
    for stop, expected in ((1, 0.0), (3, 1.0), (6, 2.5), (7, 6.0), (12, 8.5)):
        state = run(state, stop)
        assert float(mean_metrics(state, per_epoch)["step"]) == expected


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match="--batch-size 65 is larger than the training split of 64"):
        steps_per_epoch(DATA, 65)
    with pytest.raises(ValueError, match="same length"):
        steps_per_epoch({"x": jnp.ones((3, 2)), "label": jnp.ones(4)}, 1)


def test_an_assigned_value_is_the_running_mean_in_closed_form() -> None:
    decay = 0.9
    system, tx = codebook_system(decay), optax.chain(optax.clip_by_global_norm(1e-3), optax.sgd(0.1))
    state = initial_state(system, tx, identity, DATA, jax.random.key(0))
    run = program(system, tx, batch_size=64)
    mean, expected = DATA["x"].mean(axis=0), jnp.zeros(2)
    for stop in range(1, 20):
        state = run(state, stop)
        expected = decay * expected + (1 - decay) * mean
        np.testing.assert_allclose(state.params["code"], expected, atol=1e-6)
    assert float(jnp.abs(state.params["free"]).max()) > 0


def test_an_adversary_trains_in_the_same_step() -> None:
    system = adversarial_system()
    state = initial_state(system, optax.adam(2e-2), identity, DATA, jax.random.key(0))
    state = program(system, optax.adam(2e-2), batch_size=32)(state, 1500)
    np.testing.assert_allclose(state.params["generator"], DATA["x"].mean(axis=0), atol=0.35)


def test_a_batch_term_and_labels() -> None:
    system = batch_term_system()
    state = initial_state(system, TX, identity, DATA, jax.random.key(0))
    state = program(system, batch_size=64)(state, 300)
    np.testing.assert_allclose(jnp.var(DATA["x"] @ state.params), 1.0, atol=1e-2)
    assert 0.0 <= float(mean_metrics(state, 1)["accuracy"]) <= 1.0


def test_seeds_and_numbers_vmap() -> None:
    """A sweep: the system and the optimiser are built inside the trace, from traced numbers."""

    def member(rate, learning_rate, key):
        tx = make_optimizer(Optimizer(learning_rate=learning_rate, schedule="cosine", clip_norm=5.0), 40)
        return fit(mean_system(rate), tx, identity, DATA, key, batch_size=16, num_steps=40).params["mean"]

    rates, steps = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.1, 0.2, 0.05])
    keys = jax.random.split(jax.random.key(0), 3)
    swept = jax.jit(jax.vmap(member))(rates, steps, keys)
    for i in range(3):
        np.testing.assert_allclose(swept[i], member(float(rates[i]), float(steps[i]), keys[i]), rtol=1e-4)


def test_the_key_must_be_typed() -> None:
    with pytest.raises(TypeError, match="typed PRNG key"):
        initial_state(mean_system(), TX, identity, DATA, 0)


def test_the_average_is_the_running_mean_of_the_parameters() -> None:
    system = mean_system()
    state = initial_state(system, TX, identity, DATA, jax.random.key(0), averaged=True)
    step = jax.jit(
        lambda state, stop: train_until(system, TX, identity, DATA, state, stop, batch_size=10, average_decay=0.6)
    )
    expected = state.params
    for number in range(1, 13):
        state = step(state, number)
        # At the start it remembers a tenth of the steps done.
        decay = min(0.6, number / (number + 9))
        expected = jax.tree.map(lambda mean, new, d=decay: d * mean + (1 - d) * new, expected, state.params)
        chex.assert_trees_all_close(state.average, expected, rtol=1e-5)
    chex.assert_trees_all_equal(measured_params(state), state.average)
    plain = initial_state(system, TX, identity, DATA, jax.random.key(0))
    assert plain.average is None
    chex.assert_trees_all_equal(measured_params(plain), plain.params)


def test_the_order_of_an_epoch_is_found_once_however_many_calls_it_takes() -> None:
    system, found, size = mean_system(), [], num_examples(DATA)
    state = initial_state(system, TX, identity, DATA, jax.random.key(0))
    whole = program(system)(state, 35)

    def order_of(state, epoch):
        found.append(int(epoch))
        return epoch_order(state, epoch, size)

    compiled = jax.jit(partial(train_in_order, system, TX, identity, DATA, batch_size=10))
    advance = epoch_by_epoch(size // 10, order_of, lambda state, order, stop: compiled(order, state, stop))
    for stop in (1, 2, 9, 10, 12, 35):
        state = advance(state, stop)
        assert int(state.step) == stop
    assert found == list(range(-(-35 // (size // 10))))
    chex.assert_trees_all_equal(state.params, whole.params)


def test_more_steps_than_their_counter_holds_are_refused() -> None:
    assert steps_per_epoch({"x": np.zeros(100)}, 10, 2**31 // 10) == 10
    with pytest.raises(ValueError, match="--epochs 300000000 are 3,000,000,000 steps.*use --epochs 214748364 or fewer"):
        steps_per_epoch({"x": np.zeros(100)}, 10, 300_000_000)


@pytest.mark.parametrize("make", [optax.adam, optax.contrib.prodigy, optax.contrib.dog])
def test_a_donated_state_has_none_of_the_buffers_it_was_made_of(make) -> None:
    tx = make(1e-2)
    params = {"mean": jnp.zeros(2)}
    system = mean_system()._replace(init=lambda key, batch: params)
    states = [initial_state(system, tx, identity, DATA, jax.random.key(seed)) for seed in (0, 1)]

    def advanced(state, stop):
        return train_until(system, tx, identity, DATA, state, stop, batch_size=10)

    donating = jax.jit(advanced, donate_argnames="state")
    for state in states:
        expected = jax.jit(advanced)(state, 4)
        assert_equal_states(donating(state, 4), expected)
    assert not params["mean"].is_deleted()


def test_metrics_are_summed_in_single_precision() -> None:
    def loss(params, key, batch, step):
        value = jnp.mean(jnp.square(params["mean"]))
        return value, {"one": jnp.asarray(1.0, jnp.bfloat16), "always": jnp.asarray(True), "count": jnp.int32(3)}

    system = mean_system()._replace(loss=loss)
    state = initial_state(system, TX, identity, {"x": jnp.zeros((600, 2))}, jax.random.key(0))
    after = train_until(system, TX, identity, {"x": jnp.zeros((600, 2))}, state, 600, batch_size=1)
    means = mean_metrics(after, 600)
    assert (means["one"], means["always"], means["count"]) == (1.0, 1.0, 3.0)


def test_an_average_of_half_precision_moves() -> None:
    def loss(params, key, batch, step):
        return jnp.sum(jnp.square(params["w"] - 1.0)).astype(jnp.float32), {}

    system = mean_system()._replace(init=lambda key, batch: {"w": jnp.zeros(1, jnp.bfloat16)}, loss=loss)
    after = fit(
        system, optax.sgd(0.05), identity, DATA, jax.random.key(0), batch_size=10, num_steps=4000, average_decay=0.999
    )
    measured = measured_params(after)["w"]
    assert measured.dtype == jnp.bfloat16
    np.testing.assert_allclose(measured.astype(float), after.params["w"].astype(float), atol=0.02)
