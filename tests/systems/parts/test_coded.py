"""A batch of codes: the draws of `elbo_terms`, and the KL in closed form, drawn, or none."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.systems.parts.coded import coded, coded_loss, prior_codes

KEY = jax.random.key(2)
X = jnp.array([[0.3, -1.0], [2.0, 0.5], [0.0, 1.5]])


def model(encode: Any, prior: Any) -> vj.VAE:
    return vj.VAE(
        encode=lambda params, x: encode(params * x),
        decode=lambda params, z: vj.DiagNormal(z, jnp.array(0.5)),
        prior=lambda params: prior,
    )


NORMAL = model(lambda x: vj.DiagNormal(x, jnp.full(2, 0.3)), vj.standard_normal(2))
MIXTURE = vj.Mixture(jnp.zeros(2), vj.DiagNormal(jnp.array([[-1.0, 0.0], [1.0, 0.0]]), jnp.ones((2, 2))))
DRAWN = NORMAL._replace(prior=lambda params: MIXTURE)
POINT = model(vj.PointMass, vj.standard_normal(2))


@pytest.mark.parametrize(("vae", "terms"), [(NORMAL, vj.elbo_terms), (DRAWN, vj.sampled_terms)])
def test_distortion_and_rate_are_the_two_terms_of_the_elbo(vae: vj.VAE, terms: Any) -> None:
    found = jax.jit(lambda key: coded(vae, 0.8, key, X))(KEY)
    each = jax.jit(jax.vmap(lambda key, x: terms(vae, 0.8, key, x)))(jax.random.split(KEY, 3), X)
    np.testing.assert_allclose(found.distortion, -each.log_likelihood, rtol=1e-5)
    np.testing.assert_allclose(found.rate, each.kl.reshape(3, -1).sum(axis=1), rtol=1e-5)
    assert found.codes.shape == (3, 2)
    np.testing.assert_allclose(found.posterior.mean, 0.8 * X, rtol=1e-6)
    metrics = found.metrics()
    np.testing.assert_allclose(metrics["bound"], jnp.mean(each.log_likelihood - each.kl.reshape(3, -1).sum(axis=1)))
    np.testing.assert_allclose(metrics["bound"], metrics["log_likelihood"] - metrics["kl"], rtol=1e-6)


def test_a_point_has_a_distance_and_no_rate() -> None:
    found = coded(POINT, 0.8, KEY, X)
    np.testing.assert_allclose(found.codes, 0.8 * X, rtol=1e-6)
    assert found.kl.shape == (3, 0)
    np.testing.assert_array_equal(found.rate, jnp.zeros(3))
    assert set(found.metrics()) == {"distance"}
    np.testing.assert_allclose(found.metrics()["distance"], found.distortion.mean())


def test_an_objective_sees_the_whole_batch_at_once() -> None:
    loss = coded_loss(POINT, lambda params, key, batch: (jnp.var(batch.codes), {"size": len(batch.codes)}))
    value, metrics = loss(2.0, KEY, {"x": X}, jnp.int32(7))
    np.testing.assert_allclose(value, np.var(2.0 * np.asarray(X)), rtol=1e-6)
    assert metrics == {"size": 3}


def test_codes_of_the_prior_come_from_a_stream_of_their_own() -> None:
    # The codes minus their means are the noise of the posteriors.
    noise = (coded(NORMAL, 0.0, KEY, X).codes / 0.3).ravel()
    drawn = prior_codes(NORMAL, 0.0, KEY, 3)
    assert drawn.shape == (3, 2)
    assert not set(np.asarray(noise).tolist()) & set(np.asarray(drawn).ravel().tolist())
    layers = NORMAL._replace(prior=lambda params: vj.OneHotCategorical(jnp.zeros((4, 3))))
    assert prior_codes(layers, 0.0, KEY, 5).shape == (5, 12)
