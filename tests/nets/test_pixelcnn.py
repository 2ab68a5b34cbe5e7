import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.data.units import Units
from vae_jax.nets.likelihoods import BernoulliHead, CategoricalHead, NormalHead
from vae_jax.nets.pixelcnn import AutoregressiveHead, CausalLayers

SHAPE = (3, 4, 1)


def decoder(likelihood, levels=1, reach=1, units=None):
    """A head away from its start, where the pixels before say something."""
    head = AutoregressiveHead(likelihood, layers=2, levels=levels, width=8, reach=reach, units=units)
    out = jax.random.normal(jax.random.key(0), (*SHAPE, head.outputs))
    variables = head.init(jax.random.key(1), out)
    keys = jax.random.split(jax.random.key(2), len(jax.tree.leaves(variables)))
    noisy = [
        leaf + 0.5 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, jax.tree.leaves(variables), strict=True)
    ]
    return head.apply(jax.tree.unflatten(jax.tree.structure(variables), noisy), out)


BITS = BernoulliHead(np.full(SHAPE, 0.4, np.float32))


@pytest.mark.parametrize("reach", [1, 2])
def test_each_pixel_sees_those_before_it_alone(reach: int) -> None:
    p = decoder(BITS, reach=reach)
    x = jax.random.bernoulli(jax.random.key(3), 0.5, SHAPE).astype(jnp.float32)
    jacobian = jax.jacobian(lambda x: jnp.ravel(p.conditional(x).logits))(x).reshape(12, 12)
    np.testing.assert_array_equal(jnp.triu(jacobian), 0.0)
    # The pixel to the left, and the three above.
    for before in (0, 1, 2, 4):
        assert jacobian[5, before] != 0.0


@pytest.mark.parametrize("reach", [1, 2])
def test_all_images_sum_to_one_and_samples_follow(reach: int) -> None:
    small = AutoregressiveHead(BernoulliHead(np.full((2, 3, 1), 0.4, np.float32)), layers=1, width=6, reach=reach)
    out = jax.random.normal(jax.random.key(0), (2, 3, 1, 1))
    variables = small.init(jax.random.key(1), out)
    variables = jax.tree.map(lambda leaf: leaf + 0.4 * jax.random.normal(jax.random.key(7), leaf.shape), variables)
    p = small.apply(variables, out)
    images = jnp.array([[i >> j & 1 for j in range(6)] for i in range(64)], jnp.float32).reshape(64, 2, 3, 1)
    probabilities = jnp.exp(jax.vmap(p.log_prob)(images))
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)
    draws = jax.jit(lambda key: p.sample(key, (20_000,)))(jax.random.key(4)).reshape(20_000, 6)
    counts = np.bincount(np.asarray(draws @ (2.0 ** jnp.arange(6))).astype(int), minlength=64)
    error = np.sqrt(probabilities * (1 - probabilities) / 20_000)
    assert np.max(np.abs(counts / 20_000 - probabilities) / error) < 4.5


def test_with_a_longer_reach_the_first_layer_sees_all_that_is_seen() -> None:
    shape = (5, 7, 1)
    x = jax.random.normal(jax.random.key(0), shape)
    layers = CausalLayers(layers=3, width=8, reach=2)
    params = layers.init(jax.random.key(1), x, jnp.zeros(shape))
    jacobian = jax.jacobian(lambda x: layers.apply(params, x, jnp.zeros(shape))[3, 3].sum())(x)
    seen = [(row, column) for row in (1, 2) for column in range(1, 6)] + [(3, 1), (3, 2)]
    assert {(int(row), int(column)) for row, column, _ in np.argwhere(jacobian)} == set(seen)


def test_a_categorical_decoder_samples_integers() -> None:
    p = decoder(CategoricalHead(np.full(SHAPE, 0.4, np.float32), 3), levels=3)
    x = p.sample(jax.random.key(0))
    assert jnp.issubdtype(x.dtype, jnp.integer)
    assert np.isfinite(p.log_prob(x))


def test_other_units_of_the_data_change_a_density_by_their_determinant_alone() -> None:
    x = jax.random.normal(jax.random.key(3), SHAPE)
    found, draws = [], []
    for offset, factor in ((0.0, 1.0), (500.0, 1000.0)):
        units = Units(np.full(SHAPE, offset, np.float32), np.full(SHAPE, factor, np.float32))
        p = decoder(NormalHead(units.centre, 1.0, "shared", units), units=units)
        found.append(p.log_prob(offset + factor * x) + x.size * np.log(factor))
        draws.append((p.sample(jax.random.key(4)) - offset) / factor)
    np.testing.assert_allclose(*found, rtol=1e-5)
    np.testing.assert_allclose(*draws, rtol=1e-3, atol=1e-3)


def test_it_starts_as_the_likelihood_without_the_pixels_before() -> None:
    head = AutoregressiveHead(BITS, layers=2)
    out = jax.random.normal(jax.random.key(0), (*SHAPE, 1))
    p, _ = head.init_with_output(jax.random.key(1), out)
    plain, _ = BITS.init_with_output(jax.random.key(1), out)
    x = jnp.ones(SHAPE)
    np.testing.assert_allclose(p.log_prob(x), plain.log_prob(x), rtol=1e-6)


def test_only_images_have_pixels_before() -> None:
    head = AutoregressiveHead(BernoulliHead(np.full((5,), 0.4, np.float32)), layers=1)
    with pytest.raises(ValueError, match=r"is for images \(H, W, C\), got examples of shape \(5,\)"):
        head.init(jax.random.key(0), jnp.zeros((5, 1)))
    with pytest.raises(TypeError, match="Autoregressive has no log_probs"):
        vj.Masked(decoder(BITS)).log_prob(vj.Observed(jnp.zeros(SHAPE), jnp.ones(SHAPE, bool)))
