"""Steps whose loss or gradient is not finite: found at once, kept, explained, and left out where that is wanted."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import assert_equal_states, changed, console, experiment
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import read_metrics, read_skips
from vae_jax.train.loop import TrainingError, num_steps, train
from vae_jax.train.nonfinite import again, examined, last_finite
from vae_jax.train.program import is_finite
from vae_jax.train.run import create, newest_state

CURVE = experiment("curve", epochs=3, chunk_seconds=0.01)


def bad_at(run, *steps, where="loss"):
    """The run with NaN in the loss, or in the gradient alone, of these steps."""

    def loss(params, key, batch, step):
        value, metrics = run.system.loss(params, key, batch, step)
        bad = jnp.isin(step, jnp.asarray(steps))
        if where == "loss":
            return value + jnp.where(bad, jnp.nan, 0.0), metrics
        # A square root at 0 is finite, and its gradient is not.
        first = jax.tree.leaves(params)[0].sum()
        return value + 0.0 * jnp.sqrt(jnp.where(bad, 0.0 * first, 1.0)), metrics

    return dataclasses.replace(run, system=run.system._replace(loss=loss))


@pytest.mark.parametrize("where", ["loss", "gradient"])
# The search begins at the start of the run, or with the newest checkpoint.
@pytest.mark.parametrize("save_seconds", [1e9, 0.0])
def test_halt_keeps_the_state_before_the_step_and_says_what_it_was(tmp_path, where, save_seconds) -> None:
    run = create(changed(CURVE, "train", save_seconds=save_seconds), tmp_path / "run")
    with pytest.raises(TrainingError, match=r"step 13 is not finite \(.+; invalid value \((nan|inf)\) encountered in"):
        train(bad_at(run, 13, where=where), console())
    kept = newest_state(run)
    assert kept is not None
    whole = run.advance()(run.initial().train, jnp.int32(13))
    assert_equal_states(kept.train, whole)
    saved = json.loads((run.directory / "nonfinite.json").read_text())
    assert saved["step"] == 13
    assert len(set(saved["rows"])) == CURVE.train.batch_size
    # Its metrics until then stay.
    assert len(read_metrics(run.directory)) == 13 // run.steps_per_epoch


@pytest.mark.parametrize(("begin", "bad", "stop"), [(0, 0, 1), (0, 0, 9), (0, 8, 9), (3, 3, 9), (3, 6, 9)])
def test_the_last_finite_state_is_that_before_the_bad_step(tmp_path, begin, bad, stop) -> None:
    run = bad_at(create(CURVE, tmp_path / "run"), bad)
    advance = run.advance()
    found = last_finite(advance, advance(run.initial().train, begin), stop)
    assert int(found.step) == bad
    assert is_finite(found)
    assert_equal_states(found, advance(run.initial().train, bad))


def test_the_search_begins_with_the_parameters_of_another_run(tmp_path) -> None:
    first = create(CURVE, tmp_path / "first")
    train(first, console())
    run = create(changed(CURVE, "train", start_from=str(first.directory)), tmp_path / "run")
    with pytest.raises(TrainingError, match="step 5 is not finite"):
        train(bad_at(run, 5), console())
    kept = newest_state(run)
    assert kept is not None
    assert_equal_states(kept.train, run.advance()(run.begun(run.initial()).train, 5))


def test_skip_leaves_the_steps_out_wherever_the_chunks_are_cut(tmp_path) -> None:
    per_epoch = create(CURVE, tmp_path / "look").steps_per_epoch
    # In the middle, twice in a row, and at the first and the last step of an epoch.
    steps = (3, 4, per_epoch - 1, per_epoch, 3 * per_epoch - 1)
    states = []
    for seconds in (1e-9, 5.0):
        run = create(changed(CURVE, "train", on_nonfinite="skip", chunk_seconds=seconds), tmp_path / f"run{seconds}")
        with pytest.warns(UserWarning, match="is left out: its loss or a gradient is not finite") as warned:
            done = train(bad_at(run, *steps), console())
        assert [str(warning.message).split()[1] for warning in warned] == list(map(str, steps))
        assert int(done.state.train.step) == num_steps(run)
        assert read_skips(run.directory) == list(steps)
        states.append(done.state)
        by_hand, advance = run.initial().train, run.advance()
        for step in steps:
            by_hand = advance(by_hand, jnp.int32(step))
            by_hand = by_hand._replace(step=by_hand.step + 1)
        assert_equal_states(done.state.train.params, by_hand.params)
    assert_equal_states(*(state.train for state in states))
    losses = [line["train"]["loss"] for line in read_metrics(run.directory)]
    assert np.isfinite(losses).all()
    # A mean over the steps that were taken.
    assert 0.5 < losses[0] / losses[1] < 2


def test_skips_have_a_limit(tmp_path) -> None:
    run = create(changed(CURVE, "train", on_nonfinite="skip", most_skips=2), tmp_path / "run")
    with (
        pytest.warns(UserWarning, match="step (5|6) is left out"),
        pytest.raises(TrainingError, match=r"step 7 is not finite .* 2 such steps were left out before\."),
    ):
        train(bad_at(run, 5, 6, 7), console())


def test_what_is_not_finite_is_named_in_the_order_of_computing(tmp_path) -> None:
    run = create(CURVE, tmp_path / "run")
    state, data = run.initial().train, run.dataset.train.batch()
    system = run.system

    def look(system=system, data=data, state=state):
        return examined(system, run.dataset.prepare, data, state, batch_size=CURVE.train.batch_size, precision="device")

    assert look().finite
    spoilt = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), data)
    assert look(data=spoilt).summary.startswith("the batch: x")
    assert is_finite(state)
    assert not is_finite(state._replace(metrics={**state.metrics, "loss": jnp.float32(jnp.inf)}))
    bad = state._replace(params=jax.tree.map(lambda leaf: leaf * jnp.nan, state.params))
    assert look(state=bad).summary.startswith("parameters: decoder.")

    def no_density(params, z):
        return system.vae.decode(params, z * jnp.inf)

    assert look(system._replace(vae=system.vae._replace(decode=no_density))).summary.startswith("terms: log p(x | z)")


def test_a_relaxed_sample_is_no_fault_under_a_prior_of_choices(tmp_path) -> None:
    config = changed(CURVE, "model", posterior="concrete", latent_size=2, classes=3)
    run = create(changed(config, "objective", estimator="analytic", bound="elbo", num_samples=1), tmp_path / "run")
    state, data = run.initial().train, run.dataset.train.batch()
    found = examined(run.system, run.dataset.prepare, data, state, batch_size=16, precision="device")
    assert found.finite
    assert set(found.terms) == {"log p(x | z)", "KL(q(z | x), p(z))"}


def test_the_search_begins_anew_where_no_checkpoint_is_left(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Checkpoints, "restore", lambda *_: None)
    states = []
    for seconds in (0.0, 1e9):
        config = changed(CURVE, "train", on_nonfinite="skip", save_seconds=seconds)
        run = bad_at(create(config, tmp_path / f"run{seconds}"), 4, 7, 20)
        with pytest.warns(UserWarning, match="is left out"):
            states.append(train(run, console()).state)
        assert read_skips(run.directory) == [4, 7, 20]
    assert_equal_states(*(state.train.params for state in states))


def test_training_again_stops_where_it_is_asked_to(tmp_path) -> None:
    run = create(CURVE, tmp_path / "run")
    advance, looks = run.advance(), iter([False, False, True])
    state = again(advance, run.initial().train, 9, skips=[3], per_epoch=12, chunk=2, stopped=lambda: next(looks))
    assert int(state.step) == 3
    state = again(advance, state, 9, skips=[3], per_epoch=12, chunk=2, stopped=lambda: False)
    assert int(state.step) == 9
    by_hand = advance(run.initial().train, 3)
    assert_equal_states(state, advance(by_hand._replace(step=by_hand.step + 1), 9))


def test_a_loss_with_other_numbers_the_second_time_is_named(tmp_path) -> None:
    calls = iter(range(10_000))
    run = create(CURVE, tmp_path / "run")

    def loss(params, key, batch, step):
        value, metrics = run.system.loss(params, key, batch, step)
        noise = jax.pure_callback(lambda: np.float32(np.nan if next(calls) >= 5 else 0.0), jnp.float32(0.0))
        return value * (1.0 + jax.lax.stop_gradient(noise)), metrics

    unsteady = dataclasses.replace(run, system=run.system._replace(loss=loss))
    with pytest.raises(TrainingError, match="the loss depends on more than its arguments"):
        train(unsteady, console())
