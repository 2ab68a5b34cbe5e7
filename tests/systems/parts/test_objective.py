import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from vae_jax.config import Data, Experiment, Model, Objective
from vae_jax.data import load
from vae_jax.systems.parts.objective import constrained, mean_loss
from vae_jax.systems.system import System
from vae_jax.systems.vae import build

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3))


def system(**objective) -> tuple[System, dict, dict]:
    built = build(dataclasses.replace(CONFIG, objective=Objective(**objective)), DIGITS)
    batch = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(6)).batch())
    return built, built.init(jax.random.key(1), batch), batch


CELLS = [(bound, name) for bound in ("elbo", "iwae", "renyi") for name in ("total", "stl", "dreg", "score")]


@pytest.mark.parametrize(("bound", "estimator"), [*CELLS, ("elbo", "analytic")])
def test_every_loss_is_minus_its_bound(bound: str, estimator: str) -> None:
    built, params, batch = system(bound=bound, estimator=estimator, num_samples=3)
    (loss, metrics), slope = jax.jit(jax.value_and_grad(built.loss, has_aux=True))(params, jax.random.key(2), batch, 0)
    np.testing.assert_allclose(loss, -metrics["bound"], rtol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))
    assert built.vae is not None
    # The mean over the batch of the bound per example, with the keys split over it.
    chosen = {"elbo": vj.elbo, "iwae": vj.iwae, "renyi": vj.renyi(0.5)}[bound]
    if estimator != "analytic":
        estimate = vj.total(chosen)
        keys = jax.random.split(jax.random.key(2), 6)
        expected = jnp.mean(
            jax.vmap(lambda key, x: estimate(built.vae, params, key, x, num_samples=3))(keys, batch["x"])
        )
        np.testing.assert_allclose(metrics["bound"], expected, rtol=1e-5)


def test_beta_weighs_the_kl_and_leaves_the_reported_bound_alone() -> None:
    built, params, batch = system(beta=4.0)
    loss, metrics = built.loss(params, jax.random.key(2), batch, jnp.int32(0))
    np.testing.assert_allclose(loss, 4.0 * metrics["kl"] - metrics["log_likelihood"], rtol=1e-5)
    np.testing.assert_allclose(metrics["bound"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-5)
    plain, _, _ = system()
    assert plain.loss(params, jax.random.key(2), batch, jnp.int32(0))[1]["bound"] == metrics["bound"]


def test_a_mean_is_of_the_losses_and_metrics_of_each_example_with_keys_of_their_own() -> None:
    def one(vae, params, key, x):
        noise = jax.random.normal(key)
        return params * x + noise, {"noise": noise}

    key, x = jax.random.key(3), jnp.array([1.0, 2.0, 4.0])
    value, metrics = mean_loss(vj.VAE(*[lambda *_: None] * 3), one)(2.0, key, {"x": x}, jnp.int32(0))
    noise = np.mean([jax.random.normal(each) for each in jax.random.split(key, 3)])
    np.testing.assert_allclose(metrics["noise"], noise, rtol=1e-5)
    np.testing.assert_allclose(value, 2.0 * 7 / 3 + noise, rtol=1e-5)


def test_a_constraint_gives_a_system_its_multiplier_and_other_objectives_nothing() -> None:
    plain = System(init=lambda key, batch: {"w": jnp.ones(1)}, loss=lambda *_: (jnp.zeros(()), {}), vae=None)
    assert constrained(plain, Objective()) is plain
    found = constrained(plain, Objective(most_distortion=3.0))
    params = found.init(jax.random.key(0), {})
    assert params == {"w": jnp.ones(1), "log_multiplier": jnp.zeros(())}
    assert not found.comparable
    tx = found.optimizer(optax.set_to_zero())
    updates, _ = tx.update(params | {"log_multiplier": jnp.array(5.0)}, tx.init(params), params)
    assert updates["w"].tolist() == [0.0]
    assert updates["log_multiplier"] < 0.0
