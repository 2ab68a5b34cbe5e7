import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets.grid import Conv3x3, GridDecoder, GridOutput, GridTrunk, ResidualBlocks, grid, grid_sides
from vae_jax.nets.likelihoods import BernoulliHead
from vae_jax.nets.posteriors import DiagNormalHead, PointHead, UnitPointHead

KEY = jax.random.key(0)


def test_a_convolution_is_that_of_flax() -> None:
    x = jax.random.normal(KEY, (6, 4, 3))
    ours = Conv3x3(5)
    params = ours.init(KEY, x)["params"]["Dense_0"]
    theirs = {"kernel": params["kernel"].reshape(3, 3, 3, 5), "bias": params["bias"]}
    expected = nn.Conv(5, (3, 3), padding=1).apply({"params": theirs}, x)
    np.testing.assert_allclose(ours.apply({"params": {"Dense_0": params}}, x), expected, atol=1e-5)


def test_shapes_and_places() -> None:
    x = jax.random.normal(KEY, (12, 8, 2))
    trunk = GridTrunk((6, 10), nn.relu)
    params = trunk.init(KEY, x)
    assert trunk.apply(params, x).shape == (*grid_sides((12, 8, 2), 2), 10) == (3, 2, 10)
    output = GridOutput((12, 8, 2), 3, (10, 6), nn.relu)
    z = jax.random.normal(KEY, (3, 2, 4))
    params = output.init(KEY, z)
    assert output.apply(params, z).shape == (12, 8, 2, 3)
    # The same codes as one vector.
    np.testing.assert_array_equal(output.apply(params, z), output.apply(params, z.ravel()))


def test_a_code_says_what_is_at_its_place() -> None:
    """Changing the code of one corner leaves the far corner as it was, and not its own."""
    output = GridOutput((32, 32, 1), 1, (4, 4), nn.relu)
    z = jax.random.normal(KEY, (8, 8, 2))
    params = output.init(KEY, z)
    change = jnp.abs(output.apply(params, z.at[0, 0].add(1.0)) - output.apply(params, z))[..., 0, 0]
    assert change[:4, :4].max() > 1e-4
    assert change[-4:, -4:].max() == 0.0


def test_residual_blocks_add() -> None:
    x = jax.random.normal(KEY, (4, 4, 6))
    blocks = ResidualBlocks(nn.relu)
    params = jax.tree.map(jnp.zeros_like, blocks.init(KEY, x))
    np.testing.assert_array_equal(blocks.apply(params, x), nn.relu(x))


def test_a_decoder_of_several_grids_sees_all() -> None:
    decoder = GridDecoder(GridOutput((8, 8, 1), 2, (5,), nn.relu), nn.relu)
    low, high = jax.random.normal(KEY, (4, 4, 3)), jax.random.normal(KEY, (2, 2, 3))
    params = decoder.init(KEY, low, high)
    out = decoder.apply(params, low, high)
    assert out.shape == (8, 8, 1, 2)
    for changed in ((low + 1.0, high), (low, high + 1.0)):
        assert jnp.abs(decoder.apply(params, *changed) - out).max() > 1e-3


@pytest.mark.parametrize("head", [DiagNormalHead(3), PointHead(3), UnitPointHead(3)])
def test_heads_at_places_are_heads_of_each_place(head: nn.Module) -> None:
    features = jax.random.normal(KEY, (2, 4, 7))
    params = head.init(KEY, features)
    found = head.apply(params, features)
    each = jax.vmap(lambda f: head.apply(params, f))(features.reshape(8, 7))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(each), strict=True):
        np.testing.assert_allclose(one, other.ravel(), rtol=1e-5, atol=1e-6)


def test_a_pair_and_what_it_refuses() -> None:
    shape = (8, 8, 1)
    encoder, decoder = grid(shape, DiagNormalHead(3), BernoulliHead(np.full(shape, 0.5)), channels=(4, 4))
    x = jnp.zeros(shape)
    posterior = encoder.apply(encoder.init(KEY, x), x)
    assert posterior.event_shape == (12,)
    z = jnp.zeros(12)
    assert decoder.apply(decoder.init(KEY, z), z).event_shape == shape
    with pytest.raises(ValueError, match=r"grid: 4 layers halve .* multiples of 16 .* got \(8, 8, 1\)"):
        grid(shape, DiagNormalHead(3), BernoulliHead(np.full(shape, 0.5)), channels=(4,) * 4)
