"""A VAE from networks: what its parameters are called, and that its densities are the products that it says."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.nets.adapters import linen_apply
from vae_jax.nets.layers import StochasticLayer, between, layered_init, layered_vae
from vae_jax.nets.likelihoods import BernoulliHead
from vae_jax.nets.posteriors import DiagNormalHead
from vae_jax.nets.priors import scaled

BATCH = {"x": jnp.asarray(np.random.default_rng(0).integers(0, 2, (4, 5)), jnp.float32)}
BITS = BernoulliHead(np.full(5, 0.5, np.float32))
LOWEST = StochasticLayer(DiagNormalHead(3), nn.Sequential([nn.Dense(5), lambda out: out[:, None], BITS]), 3)
SECOND = StochasticLayer(*between(3, 2, hidden=(4,), activation=nn.tanh), 2)
X = BATCH["x"][0]


def test_one_layer_has_a_code_that_is_an_array() -> None:
    vae, params = layered_vae([LOWEST]), jax.jit(layered_init([LOWEST]))(jax.random.key(0), BATCH)
    assert set(params) == {"encoder", "decoder"}
    assert vae.encode(params, X).event_shape == vae.prior(params).event_shape == (3,)
    assert vae.decode(params, jnp.zeros(3)).event_shape == (5,)


def test_two_layers_are_a_product_of_conditionals_on_each_side() -> None:
    layers = [LOWEST, SECOND]
    vae, params = layered_vae(layers), jax.jit(layered_init(layers))(jax.random.key(0), BATCH)
    assert set(params) == {"encoder", "decoder", "encoder2", "decoder2"}
    z1, z2 = jnp.array([0.3, -1.0, 0.5]), jnp.array([1.2, -0.4])

    def apply(network, name, value):
        return linen_apply(network)(params[name], value)

    posterior = apply(LOWEST.encoder, "encoder", X).log_prob(z1) + apply(SECOND.encoder, "encoder2", z1).log_prob(z2)
    np.testing.assert_allclose(vae.encode(params, X).log_prob((z1, z2)), posterior, rtol=1e-5)
    prior = -0.5 * jnp.sum(z2**2) - np.log(2 * np.pi) + apply(SECOND.decoder, "decoder2", z2).log_prob(z1)
    np.testing.assert_allclose(vae.prior(params).log_prob((z1, z2)), prior, rtol=1e-5)
    # x is told by the lowest layer alone.
    likelihood = apply(LOWEST.decoder, "decoder", z1).log_prob(X)
    np.testing.assert_allclose(vae.decode(params, (z1, z2)).log_prob(X), likelihood, rtol=1e-5)


def test_a_prior_with_parameters_is_that_of_the_highest_layer() -> None:
    layers, prior = [LOWEST, SECOND], scaled(2)
    params = jax.jit(layered_init(layers, prior))(jax.random.key(0), BATCH)
    assert params["prior"]["log_scale"].shape == (2,)
    highest = layered_vae(layers, prior).prior(params | {"prior": {"log_scale": jnp.array([1.0, -1.0])}}).factors[0]
    np.testing.assert_allclose(highest.stddev, np.exp([1.0, -1.0]), rtol=1e-6)


def test_networks_between_layers_mirror_one_another() -> None:
    encoder, decoder = between(3, 2, hidden=(7, 4), activation=nn.tanh)
    sizes = [
        [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0), z)) if leaf.ndim == 2]
        for network, z in ((encoder, jnp.zeros(3)), (decoder, jnp.zeros(2)))
    ]
    # Mean and scale of what is above, and of what is below.
    assert sorted(sizes[0]) == sorted([(3, 7), (7, 4), (4, 4)])
    assert sorted(sizes[1]) == sorted([(2, 4), (4, 7), (7, 6)])


def test_a_layer_of_choices_has_a_code_of_one_hot_rows() -> None:
    assert LOWEST.latent_shape == (3,)
    assert LOWEST._replace(classes=4).latent_shape == (3, 4)
