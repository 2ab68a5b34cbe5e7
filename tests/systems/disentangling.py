"""What the tests of the systems that disentangle share: small models of digits, and the VAE that they become."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config import Data, Experiment, Model
from vae_jax.data import load
from vae_jax.systems import vae
from vae_jax.systems.system import System

DIGITS = load("digits", binarisation="dynamic")
BASE = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3))
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(16)).batch())
PLAIN = vae.build(BASE, DIGITS)


def gradient(loss: Any, params: Any) -> Any:
    return jax.jit(jax.grad(lambda p: loss(p, jax.random.key(2), BATCH, 0)[0]))(params)


def assert_is_the_vae(found_system: System) -> None:
    """The same gradients of encoder and decoder, and the same metrics of the bound."""
    params = found_system.init(jax.random.key(1), BATCH)
    plain, found = gradient(PLAIN.loss, params), gradient(found_system.loss, params)
    for part in ("encoder", "decoder"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain[part], found[part])
    metrics = [system.loss(params, jax.random.key(2), BATCH, jnp.int32(0))[1] for system in (PLAIN, found_system)]
    for field in ("bound", "kl", "log_likelihood"):
        np.testing.assert_allclose(metrics[0][field], metrics[1][field], rtol=1e-5)
