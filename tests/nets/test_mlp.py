import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets import mlp
from vae_jax.nets.likelihoods import BernoulliHead
from vae_jax.nets.posteriors import DiagNormalHead


def test_shapes_and_the_number_of_parameters() -> None:
    encoder, decoder = mlp((8, 8, 1), DiagNormalHead(2), BernoulliHead(np.full((8, 8, 1), 0.3)), hidden=(20, 10))
    x, z = jnp.zeros((8, 8, 1)), jnp.zeros(2)
    q, variables = encoder.init_with_output(jax.random.key(0), x)
    p, others = decoder.init_with_output(jax.random.key(0), z)
    assert q.event_shape == (2,)
    assert p.event_shape == (8, 8, 1)
    count = sum(leaf.size for leaf in jax.tree.leaves((variables, others)))
    assert count == (64 * 20 + 20 + 20 * 10 + 10 + 10 * 4 + 4) + (2 * 10 + 10 + 10 * 20 + 20 + 20 * 64 + 64)


def test_a_batch_is_refused() -> None:
    encoder, _ = mlp(
        (8, 8, 1), DiagNormalHead(2), BernoulliHead(np.full((8, 8, 1), 0.3)), hidden=(5,), activation=nn.relu
    )
    with pytest.raises(
        ValueError, match=r"one example of shape \(8, 8, 1\), got \(32, 8, 8, 1\). For a batch: jax.vmap"
    ):
        encoder.init(jax.random.key(0), jnp.zeros((32, 8, 8, 1)))
