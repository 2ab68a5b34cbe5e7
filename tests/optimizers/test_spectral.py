from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.runs import assert_equal_states, changed, experiment, trained
from vae_jax.config import Optimizer
from vae_jax.optimizers.spectral import spectral_decay
from vae_jax.train import make_optimizer
from vae_jax.train.run import newest_state, open_run

WEIGHT = 0.3


def networks() -> dict:
    keys = jax.random.split(jax.random.key(1), 4)
    return {
        "dense": {"kernel": jax.random.normal(keys[0], (5, 3)), "bias": jnp.ones(3)},
        "convolution": {"kernel": jax.random.normal(keys[1], (3, 3, 4, 6))},
        "wide": {"kernel": jax.random.normal(keys[2], (2, 40))},
        # Tables of vectors are no kernels, and neither are scales.
        "codebook": jax.random.normal(keys[3], (7, 2)),
        "scale": jnp.ones(()),
    }


def largest(params: dict) -> jax.Array:
    """The sum of the largest singular values, by a singular value decomposition."""
    kernels = [params[name]["kernel"] for name in ("dense", "convolution", "wide")]
    return sum((jnp.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2) for kernel in kernels), jnp.zeros(()))


def test_it_adds_the_gradient_of_the_largest_singular_values() -> None:
    params, tx = networks(), spectral_decay(WEIGHT)
    state, update = tx.init(params), jax.jit(tx.update)
    gradient = jax.tree.map(jnp.ones_like, params)
    for _ in range(200):
        added, state = update(gradient, state, params)
    expected = jax.tree.map(lambda one, of: one + WEIGHT * of, gradient, jax.grad(largest)(params))
    for found, each in zip(jax.tree.leaves(added), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, each, atol=2e-5)


def test_steps_along_it_press_them_down_at_the_rate_of_its_weight() -> None:
    params = networks()
    tx = optax.chain(spectral_decay(WEIGHT), optax.sgd(0.01))
    state, before = tx.init(params), largest(params)
    nothing = jax.tree.map(jnp.zeros_like, params)
    for _ in range(50):
        updates, state = tx.update(nothing, state, params)
        params = optax.apply_updates(params, updates)
    # Three kernels, each by 0.01 × 0.3 a step, once the iteration has found their directions.
    np.testing.assert_allclose(before - largest(params), 3 * 50 * 0.01 * WEIGHT, rtol=0.1)


def test_a_kernel_of_zeros_is_left_alone_until_it_has_a_direction() -> None:
    params, tx = {"kernel": jnp.zeros((4, 3))}, spectral_decay(WEIGHT)
    state = tx.init(params)
    added, state = tx.update({"kernel": jnp.zeros((4, 3))}, state, params)
    np.testing.assert_array_equal(added["kernel"], 0.0)
    moved = {"kernel": jnp.ones((4, 3))}
    for _ in range(3):
        added, state = tx.update({"kernel": jnp.zeros((4, 3))}, state, moved)
    np.testing.assert_allclose(added["kernel"], WEIGHT / np.sqrt(12), rtol=1e-5)
    # Nor does one whose squares are 0 in float32 blow up.
    small = {"kernel": jnp.full((4, 3), 1e-30)}
    added, _ = tx.update({"kernel": jnp.zeros((4, 3))}, tx.init(small), small)
    np.testing.assert_allclose(jnp.abs(added["kernel"]), WEIGHT / np.sqrt(12), rtol=1e-5)


def test_it_stands_before_the_rule_of_a_config_and_needs_the_parameters() -> None:
    params = networks()
    tx = make_optimizer(Optimizer(optimizer="sgd", learning_rate=1.0, spectral_weight=WEIGHT), 10)
    updates, _ = tx.update(jax.tree.map(jnp.zeros_like, params), tx.init(params), params)
    assert updates["dense"]["kernel"].any()
    assert not updates["dense"]["bias"].any()
    assert not updates["codebook"].any()
    with pytest.raises(ValueError, match="arrays called kernel.*the parameters hold none"):
        spectral_decay(WEIGHT).init({"w": jnp.ones((2, 2)), "kernel": jnp.ones(2)})
    with pytest.raises(ValueError, match="spectral_decay needs the parameters"):
        spectral_decay(WEIGHT).update(params, spectral_decay(WEIGHT).init(params))


def test_a_run_with_it_is_saved(tmp_path: Path) -> None:
    config = changed(experiment(epochs=1), "optimizer", spectral_weight=WEIGHT)
    run, state = trained(tmp_path / "run", config)
    assert_equal_states(newest_state(open_run(run.directory)), state)
