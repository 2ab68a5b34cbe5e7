import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import vae_jax as vj
from tests.runs import console
from vae_jax.nets import NnxMLP, from_nnx


def test_it_is_products_with_activations_between_them() -> None:
    network = from_nnx(NnxMLP([4, 5, 3], jnp.tanh, rngs=nnx.Rngs(0)))
    first, second = jax.tree.leaves(network.params["layers"], is_leaf=lambda part: "kernel" in part)
    x = jnp.arange(4.0).reshape(2, 2)
    expected = jnp.tanh(x.ravel() @ first["kernel"] + first["bias"]) @ second["kernel"] + second["bias"]
    np.testing.assert_allclose(network.apply(network.params, x), expected, rtol=1e-5)


def test_a_vae_of_it_trains(tmp_path) -> None:
    encoder = from_nnx(NnxMLP([6, 8, 4], rngs=nnx.Rngs(0)))
    decoder = from_nnx(NnxMLP([2, 8, 6], rngs=nnx.Rngs(1)))

    def encode(params, x):
        loc, log_scale = jnp.split(encoder.apply(params["encoder"], x), 2)
        return vj.DiagNormal(loc, jnp.exp(log_scale))

    def decode(params, z):
        return vj.Bernoulli(decoder.apply(params["decoder"], z))

    vae = vj.VAE(encode, decode, lambda params: vj.standard_normal(2))
    x = np.repeat(np.random.default_rng(0).integers(0, 2, (200, 1)), 6, axis=1).astype(np.float32)
    params = {"encoder": encoder.params, "decoder": decoder.params}
    settings = {"optimizer": optax.adam(1e-2), "epochs": 40, "batch_size": 20}
    fitted = vj.fit(vae, x, params=params, directory=tmp_path / "run", console=console(), **settings)
    losses = [line["validation_loss"] for line in fitted.history]
    # All bits are the same one: independent bits cost 4.2 nats, one shared one 0.7.
    assert losses[-1] < 2.5 < losses[0]


def test_sizes_are_those_of_input_and_layers() -> None:
    with pytest.raises(ValueError, match="sizes must be those of the input and of every layer"):
        NnxMLP([4], rngs=nnx.Rngs(0))
