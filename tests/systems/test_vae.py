import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from vae_jax.config import Data, Experiment, Model, Objective
from vae_jax.data import load
from vae_jax.nets.likelihoods import BernoulliHead
from vae_jax.nets.posteriors import DiagNormalHead
from vae_jax.systems.parts.objective import bound_loss
from vae_jax.systems.system import System
from vae_jax.systems.vae import build, vae_system

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3))


def system(**objective) -> tuple[System, dict, dict]:
    built = build(dataclasses.replace(CONFIG, objective=Objective(**objective)), DIGITS)
    batch = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(6)).batch())
    return built, built.init(jax.random.key(1), batch), batch


def test_an_encoder_refuses_a_batch() -> None:
    built, params, batch = system()
    assert built.vae is not None
    with pytest.raises(ValueError, match=r"encode: x must be one example of shape \(8, 8, 1\), got \(6, 8, 8, 1\)"):
        built.vae.encode(params, batch["x"])


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic", "full"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_every_posterior_with_every_network(posterior: str, network: str) -> None:
    model = Model(network=network, hidden=(8, 8), latent_size=3, posterior=posterior)  # pyright: ignore
    built = build(dataclasses.replace(CONFIG, model=model), DIGITS)
    batch = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(6)).batch())
    params = jax.jit(built.init)(jax.random.key(1), batch)
    loss, _ = jax.jit(built.loss)(params, jax.random.key(2), batch, 0)
    assert np.isfinite(loss)


def test_the_best_scale_follows_a_rule_of_its_own() -> None:
    grey = load("digits", binarisation="none")
    model = dataclasses.replace(CONFIG.model, likelihood="normal", likelihood_scale="optimal")
    tx = build(dataclasses.replace(CONFIG, model=model), grey).optimizer(optax.set_to_zero())
    params = {"decoder": {"log_scale": jnp.zeros(()), "w": jnp.zeros(())}}
    updates, _ = tx.update(jax.tree.map(jnp.ones_like, params), tx.init(params), params)
    assert updates["decoder"]["log_scale"] < 0.0 == updates["decoder"]["w"]
    assert build(CONFIG, DIGITS).optimizer(tx) is tx


def test_a_system_of_ones_own_networks() -> None:
    encoder = nn.Sequential([jnp.ravel, DiagNormalHead(2)])
    head = BernoulliHead(np.full((8, 8, 1), 0.3, np.float32))
    decoder = nn.Sequential([nn.Dense(64), lambda out: out.reshape(8, 8, 1, 1), head])
    loss = bound_loss(vj.total(vj.iwae), num_samples=2)
    built = vae_system(encoder, decoder, latent_size=2, example_loss=loss)
    batch = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(2)).batch())
    params = jax.jit(built.init)(jax.random.key(1), batch)
    value, metrics = jax.jit(built.loss)(params, jax.random.key(2), batch, 0)
    assert value == -metrics["bound"]
    assert built.vae is not None
    assert built.vae.prior(params).event_shape == (2,)
