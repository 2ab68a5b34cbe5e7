import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import Derivation
from vae_jax.languages.grammar import load_grammar
from vae_jax.nets.recurrent import DerivationDecoder, RuleConvolutions

GRAMMAR = load_grammar("equations")
Z = jnp.array([0.5, -0.2])


@functools.cache
def derivation(embedding: int) -> Derivation:
    decoder = DerivationDecoder(GRAMMAR, 6, 4, embedding)
    return jax.jit(lambda key: decoder.init_with_output(key, Z)[0])(jax.random.key(0))


@pytest.mark.parametrize("length", [8, 9])
def test_a_convolution_of_rules_is_that_of_flax_with_stride_2(length: int) -> None:
    network = RuleConvolutions(5, (3,), nn.tanh)
    x = jnp.arange(length) % 5
    params = network.init(jax.random.key(0), x)
    dense = params["params"]["Dense_0"]
    # What is too much at the end is an empty place.
    hidden = jnp.pad(jax.nn.one_hot(x, 5), ((0, length % 2), (0, 0)))
    theirs = {"kernel": dense["kernel"].reshape(4, 5, 3), "bias": dense["bias"]}
    expected = nn.tanh(nn.Conv(3, (4,), strides=2, padding=1).apply({"params": theirs}, hidden))
    np.testing.assert_allclose(network.apply(params, x), expected.ravel(), atol=1e-5)


@pytest.mark.parametrize(("length", "places"), [(16, 2), (13, 2), (5, 1)])
def test_each_layer_halves_the_length(length: int, places: int) -> None:
    network = RuleConvolutions(5, (3, 4, 6), nn.tanh)
    found, _ = jax.eval_shape(network.init_with_output, jax.random.key(0), jnp.zeros(length, jnp.int32))
    assert found.shape == (places * 6,)


def test_without_an_embedding_the_rule_before_is_not_seen() -> None:
    seen = {}
    for embedding in (0, 3):
        network = derivation(embedding).network
        seen[embedding] = [network.embed(jnp.int32(rule)) for rule in (0, 1)]
        assert network.logits(network.start).shape == (GRAMMAR.end + 1,)
    np.testing.assert_array_equal(seen[0], [Z, Z])
    assert [one.shape for one in seen[3]] == [(5,), (5,)]
    assert not np.array_equal(*seen[3])
    np.testing.assert_array_equal(seen[3][0][3:], Z)


def test_a_step_sees_z_and_moves_the_state() -> None:
    network = derivation(3).network
    state, features = network.step(network.start, network.embed(jnp.int32(1)))
    np.testing.assert_array_equal(state, features)
    assert state.shape == (4,)
    assert jnp.abs(state).max() <= 1.0
    assert not np.array_equal(state, network.start)
