import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from vae_jax.evaluate.usage import active_units, kl_per_dimension, kl_per_layer, latent_means

MODEL = vj.VAE(
    encode=lambda p, x: vj.standard_normal(2),
    decode=lambda p, z: vj.DiagNormal(z, jnp.ones(2)),
    prior=lambda p: vj.standard_normal(2),
)


def test_active_units_are_those_that_move() -> None:
    means = jnp.array([[0.0, 1.0, 0.05], [0.0, -1.0, -0.05], [0.0, 0.5, 0.0]])
    assert active_units(means).tolist() == [False, True, False]
    assert active_units(means, threshold=1e-4).tolist() == [False, True, True]
    with pytest.raises(ValueError, match=r"shape \(n, d\) with n >= 2, got \(1, 3\)"):
        active_units(means[:1])


def test_no_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="kl_per_dimension: .*the dataset is empty"):
        kl_per_dimension(MODEL, None, jnp.zeros((0, 2)))
    with pytest.raises(ValueError, match="the dataset is empty"):
        latent_means(MODEL, None, jax.random.key(0), jnp.zeros((0, 2)))


def test_means_are_the_posteriors_or_those_of_draws() -> None:
    x = jnp.linspace(-1.0, 1.0, 6).reshape(3, 2)
    lower = vj.DiagNormal(jnp.zeros(2), jnp.ones(2))
    own = MODEL._replace(encode=lambda p, x: vj.DiagNormal(x, 0.3 * jnp.ones(2)))
    np.testing.assert_allclose(latent_means(own, None, jax.random.key(0), x), x)
    two = MODEL._replace(
        encode=lambda p, x: vj.bottom_up(lower, Partial(lambda x, z: vj.DiagNormal(x, jnp.ones(2)), x))
    )
    first, second = latent_means(two, None, jax.random.key(0), x)
    np.testing.assert_allclose(first, jnp.zeros((3, 2)), atol=0.15)
    np.testing.assert_allclose(second, x, atol=0.15)
    assert kl_per_dimension(two, None, x) is None
    np.testing.assert_allclose(
        kl_per_dimension(own, None, x).sum(),
        jnp.mean(jnp.stack([vj.kl(own.encode(None, one), MODEL.prior(None)) for one in x])),
        rtol=1e-5,
    )


def test_the_rate_of_each_layer_is_its_kl_given_those_above() -> None:
    def path(scale, shift):
        factors = [Partial(lambda p, s: vj.DiagNormal(p[0] + 0.5 * s, p[1] * jnp.ones(2)), (shift, scale))] * 2
        return vj.top_down_path(jnp.zeros(2), factors, [Partial(lambda s, z: s + z)] * 2)

    model = vj.VAE(
        encode=lambda p, x: path(0.5, x),
        decode=lambda p, z: vj.DiagNormal(z[0] + z[1], jnp.ones(2)),
        prior=lambda p: path(1.0, jnp.zeros(2)),
    )
    x = jnp.array([[0.5, 0.0], [-1.0, 1.5], [0.2, 0.3]])
    found = kl_per_layer(model, None, jax.random.key(0), x, num_samples=4000)
    # Both layers of q differ from those of p by x and by their scale, whatever was drawn above.
    each = 0.5 * (jnp.square(x) + 0.25 - 1.0 - jnp.log(0.25)).sum(axis=1).mean()
    np.testing.assert_allclose(found, [each, each], rtol=0.03)
    # And what a picture decodes is the mean of each layer given the means above it.
    lower, upper = latent_means(model, None, jax.random.key(0), x)
    np.testing.assert_allclose(upper, x, rtol=1e-5)
    np.testing.assert_allclose(lower, x + 0.5 * x, rtol=1e-5)


def test_a_layer_of_choices_has_a_rate_though_its_draws_carry_no_gradient() -> None:
    def layers(logits, shift):
        style = Partial(lambda shift, y: vj.DiagNormal(shift + y[0, :2], jnp.ones(2)), shift)
        return vj.bottom_up(vj.OneHotCategorical(logits[None]), style)

    model = vj.VAE(
        encode=lambda p, x: layers(x, x[:2]),
        decode=lambda p, z: vj.DiagNormal(z[1], jnp.ones(2)),
        prior=lambda p: layers(jnp.zeros(3), jnp.zeros(2)),
    )
    x = jnp.array([[0.5, 0.0, 1.0], [-1.0, 1.5, 0.0]])
    found = kl_per_layer(model, None, jax.random.key(0), x, num_samples=4000)
    log_q = jax.nn.log_softmax(x)
    choices = (jnp.exp(log_q) * (log_q + jnp.log(3.0))).sum(axis=1).mean()
    np.testing.assert_allclose(found, [choices, 0.5 * jnp.square(x[:, :2]).sum(axis=1).mean()], rtol=0.05)
