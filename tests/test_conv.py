import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets import conv
from vae_jax.nets.conv import Conv3x3, depth_to_space, space_to_depth
from vae_jax.nets.heads import BernoulliHead, DiagNormalHead


def test_patches_times_a_matrix_is_the_convolution() -> None:
    x = jax.random.normal(jax.random.key(0), (6, 4, 3))
    ours, theirs = Conv3x3(5), nn.Conv(5, (3, 3))
    variables = ours.init(jax.random.key(1), x)
    dense = variables["params"]["Dense_0"]
    same = {"params": {"kernel": dense["kernel"].reshape(3, 3, 3, 5), "bias": dense["bias"]}}
    np.testing.assert_allclose(ours.apply(variables, x), theirs.apply(same, x), atol=1e-5)


def test_space_and_depth_are_inverse() -> None:
    x = jax.random.normal(jax.random.key(0), (6, 4, 3))
    np.testing.assert_array_equal(depth_to_space(space_to_depth(x)), x)
    block = space_to_depth(x)[1, 0]
    np.testing.assert_array_equal(block, x[2:4, 0:2].reshape(-1))


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (28, 20, 1), (8, 12, 3)])
def test_trains_on_every_size(shape) -> None:
    mean = np.full(shape, 0.3)
    encoder, decoder = conv(shape, DiagNormalHead(4), BernoulliHead(mean), channels=(4, 8), features=16)
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, shape), jnp.float32)
    q, encoder_variables = jax.jit(encoder.init_with_output)(jax.random.key(0), x)
    p, decoder_variables = jax.jit(decoder.init_with_output)(jax.random.key(1), q.mean)
    assert p.event_shape == shape

    @jax.jit
    def loss(variables):
        return -decoder.apply(variables[1], encoder.apply(variables[0], x).mean).log_prob(x)

    start = (encoder_variables, decoder_variables)
    before, slope = jax.jit(jax.value_and_grad(loss))(start)
    after = loss(jax.tree.map(lambda value, s: value - 1e-3 * s, start, slope))
    assert after < before


@pytest.mark.parametrize("shape", [(28, 30, 1), (9, 8, 1), (64,)])
def test_a_size_that_cannot_be_halved_is_refused(shape) -> None:
    with pytest.raises(ValueError, match=r"sides must be multiples of 4 .* got .*Pad or crop.*network mlp"):
        conv(shape, DiagNormalHead(4), BernoulliHead(np.full(shape, 0.3)), channels=(4, 8))
