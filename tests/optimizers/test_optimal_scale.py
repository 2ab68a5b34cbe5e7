import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from tests.runs import changed, experiment, trained
from vae_jax.core.errors import ConfigError
from vae_jax.optimizers.optimal_scale import optimal_scale, to_optimum
from vae_jax.systems.registry import validate

X = jax.random.normal(jax.random.key(0), (64, 5)) * 0.3 + 1.0


@pytest.mark.parametrize("start", [-2.0, 0.0, 1.5])
def test_one_whole_step_from_anywhere_is_the_best_scale(start: float) -> None:
    def loss(log_scale):
        q = vj.DiagNormal(jnp.ones(5), jnp.exp(log_scale) * jnp.ones(5))
        return -jnp.mean(jax.vmap(q.log_prob)(X))

    tx = to_optimum(5, rate=1.0)
    log_scale, state = jnp.array(start), tx.init(jnp.array(start))
    for _ in range(3):  # one step, but where the ratio is far below the least that is taken at once
        updates, state = tx.update(jax.grad(loss)(log_scale), state)
        log_scale = optax.apply_updates(log_scale, updates)
    np.testing.assert_allclose(jnp.exp(2 * log_scale), jnp.mean((X - 1.0) ** 2), rtol=1e-5)


def test_a_trained_model_has_the_scale_of_its_errors(tmp_path) -> None:
    config = changed(experiment("curve", epochs=40), "model", likelihood_scale="optimal", initial_scale=1.0)
    run, state = trained(tmp_path / "run", config)
    assert run.system.vae is not None
    x = jnp.asarray(run.dataset.train.x)
    shown = jax.vmap(lambda key, x: vj.reconstruct(run.system.vae, state.train.params, key, x))(
        jax.random.split(jax.random.key(1), len(x)), x
    )
    error = float(jnp.sqrt(jnp.mean((x - shown.loc) ** 2)))
    scale = float(np.unique(np.asarray(shown.scale))[0])
    assert np.unique(np.asarray(shown.scale)).size == 1
    assert scale < 0.9
    np.testing.assert_allclose(scale, error, rtol=0.05)


def test_scales_of_a_prior_follow_the_models_own_rule() -> None:
    """Of which those of the likelihood are not told apart by their name."""
    params = {"decoder": {"log_scale": jnp.zeros(())}, "prior": {"log_scale": jnp.zeros(3)}}
    gradient = jax.tree.map(jnp.ones_like, params)
    tx = optimal_scale(64, optax.sgd(0.5))
    updates, _ = tx.update(gradient, tx.init(params), params)
    np.testing.assert_allclose(updates["prior"]["log_scale"], -0.5 * jnp.ones(3))
    np.testing.assert_allclose(updates["decoder"]["log_scale"], 0.05 * np.log(1 - 1 / 64), rtol=1e-5)


def test_a_weighed_likelihood_is_refused() -> None:
    config = changed(experiment("curve"), "model", likelihood_scale="optimal")
    with pytest.raises(ConfigError, match="--likelihood-scale fixed"):
        validate(changed(config, "objective", most_distortion=1.0))
