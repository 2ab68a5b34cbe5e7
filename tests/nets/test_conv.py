import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets import conv
from vae_jax.nets.conv import Double, Halve
from vae_jax.nets.likelihoods import BernoulliHead
from vae_jax.nets.posteriors import DiagNormalHead


def test_halving_is_a_convolution_of_stride_2() -> None:
    x = jax.random.normal(jax.random.key(0), (6, 4, 3))
    variables = Halve(5).init(jax.random.key(1), x)
    dense = variables["params"]["Dense_0"]
    # Rows are [shift i, shift j, place within the block i, j, colour].
    kernel = dense["kernel"].reshape(2, 2, 2, 2, 3, 5).transpose(0, 2, 1, 3, 4, 5).reshape(4, 4, 3, 5)
    theirs = nn.Conv(5, (4, 4), strides=2, padding=1)
    expected = theirs.apply({"params": {"kernel": kernel, "bias": dense["bias"]}}, x)
    np.testing.assert_allclose(Halve(5).apply(variables, x), expected, atol=1e-5)


def test_doubling_is_the_transpose_of_a_convolution_of_stride_2() -> None:
    x = jax.random.normal(jax.random.key(0), (6, 4, 3))
    variables = Double(5).init(jax.random.key(1), x)
    kernel = variables["params"]["Dense_0"]["kernel"]
    # Rows are [pixel i, j, colour], columns [place in the block i, j, feature]: the later, the earlier in the kernel.
    kernel = kernel.reshape(2, 2, 3, 2, 2, 5)[:, :, :, ::-1, ::-1].transpose(0, 3, 1, 4, 2, 5).reshape(4, 4, 3, 5)
    theirs = nn.ConvTranspose(5, (4, 4), strides=(2, 2), padding=((2, 2), (2, 2)), use_bias=False)
    out = Double(5).apply(variables, x)
    np.testing.assert_allclose(out, theirs.apply({"params": {"kernel": kernel}}, x), atol=1e-5)
    assert variables["params"]["bias"].shape == (1, 1, 5)


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


@pytest.mark.parametrize("module", [Halve, Double])
def test_kernels_are_float32_whatever_the_default_is(module) -> None:
    with jax.enable_x64(True):
        params = module(5).init(jax.random.key(1), jnp.ones((4, 4, 3)))["params"]
    assert params["Dense_0"]["kernel"].dtype == np.float32
