import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.config import Data, Experiment, Model, Objective
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
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


def test_data_that_are_not_bits_are_refused_under_a_bernoulli() -> None:
    with pytest.raises(ConfigError, match=r"for bits, but digits holds counts 0..16. Use --binarisation dynamic"):
        build(CONFIG, load("digits"))
    with pytest.raises(ConfigError, match=r"but curve holds real numbers.*--likelihood normal"):
        build(CONFIG, load("curve"))
