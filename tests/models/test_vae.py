import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params, z_score
from vae_jax.distributions import DiagNormal, FullNormal
from vae_jax.models.linear_gaussian import linear_gaussian, marginal

MODEL, PARAMS = linear_gaussian(), linear_gaussian_params(shift=0.2)


def test_log_weights_are_what_they_say() -> None:
    key = jax.random.key(0)
    log_w = vj.log_weights(MODEL, PARAMS, key, X, num_samples=5)
    assert log_w.shape == (5,)
    q = MODEL.encode(PARAMS, X)
    for i in range(5):
        z = q.sample(jax.random.fold_in(key, i))
        expected = MODEL.prior(PARAMS).log_prob(z) + MODEL.decode(PARAMS, z).log_prob(X) - q.log_prob(z)
        np.testing.assert_allclose(log_w[i], expected, rtol=1e-4)


def test_more_samples_begin_with_the_same_ones() -> None:
    few, many = (vj.log_weights(MODEL, PARAMS, jax.random.key(0), X, num_samples=k) for k in (3, 9))
    np.testing.assert_allclose(few, many[:3], rtol=1e-6)


def test_a_batch_is_refused_before_the_encoder_sees_it() -> None:
    message = r"log_weights: x must be one example of shape \(3,\), got \(32, 3\). For a batch: jax.vmap"
    with pytest.raises(ValueError, match=message):
        vj.log_weights(MODEL, PARAMS, jax.random.key(0), jnp.zeros((32, 3)), num_samples=2)
    with pytest.raises(ValueError, match="reconstruct: x must be one example"):
        vj.reconstruct(MODEL, PARAMS, jax.random.key(0), jnp.zeros((32, 3)))


def test_where_no_batch_was_meant_the_decoder_is_named() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\), got \(4,\). So says p\(x \| z\), which decode gives"):
        vj.log_weights(MODEL, PARAMS, jax.random.key(0), jnp.zeros(4), num_samples=2)
    for name, given, said in (
        ("encode", lambda params, x: (jnp.zeros(2), jnp.ones(2)), "encode of a VAE gives a distribution.*got a tuple"),
        ("decode", lambda params, z: jnp.zeros(3), "decode of a VAE gives a distribution.*got an array"),
        ("prior", lambda params: jnp.zeros(2), "prior of a VAE gives a distribution.*got an array"),
    ):
        with pytest.raises(TypeError, match=said):
            vj.log_weights(MODEL._replace(**{name: given}), PARAMS, jax.random.key(0), X, num_samples=2)
    with pytest.raises(TypeError, match="the prior of a VAE is a function of the parameters.*a value of DiagNormal"):
        vj.log_weights(MODEL._replace(prior=vj.standard_normal(2)), PARAMS, jax.random.key(0), X, num_samples=2)


def test_posterior_and_prior_must_agree() -> None:
    wrong = MODEL._replace(encode=lambda params, x: vj.standard_normal(5))
    with pytest.raises(ValueError, match=r"encode gives z of shape \(5,\), but the prior has shape \(2,\)"):
        vj.log_weights(wrong, PARAMS, jax.random.key(0), X, num_samples=2)


def test_generate_and_reconstruct_return_distributions() -> None:
    key = jax.random.key(0)
    for p in (vj.generate(MODEL, PARAMS, key), vj.reconstruct(MODEL, PARAMS, key, X)):
        assert isinstance(p, DiagNormal)
        assert p.mean.shape == p.sample(key).shape == (3,)


def test_what_is_generated_has_the_law_of_x_and_what_is_reconstructed_that_of_its_posterior() -> None:
    q, (weight, bias, scale) = MODEL.encode(PARAMS, X), PARAMS.decoder
    root = jnp.linalg.cholesky(weight @ q.covariance @ weight.T + scale**2 * jnp.eye(3))
    laws = [
        (lambda key: vj.generate(MODEL, PARAMS, key), marginal(PARAMS.decoder)),
        (lambda key: vj.reconstruct(MODEL, PARAMS, key, X), FullNormal(weight @ q.loc + bias, root)),
    ]
    for draw, law in laws:
        keys = jax.random.split(jax.random.key(1), (20_000, 2))
        x = jax.jit(jax.vmap(lambda pair, draw=draw: draw(pair[0]).sample(pair[1])))(keys) - law.mean[None]
        assert z_score(x) < 4
        assert z_score(x[:, :, None] * x[:, None, :], law.covariance) < 4


def test_keys_are_never_used_twice() -> None:
    with jax.debug_key_reuse(True):
        run = jax.jit(lambda key: vj.log_weights(MODEL, PARAMS, key, X, num_samples=3))
        assert np.isfinite(run(jax.random.key(0))).all()
        estimate = jax.jit(lambda key: vj.score(vj.iwae)(MODEL, PARAMS, key, X, num_samples=3))
        assert np.isfinite(estimate(jax.random.key(0)))


def test_x_and_z_may_be_pytrees() -> None:
    class Pair:
        def __init__(self, a, b) -> None:
            self.parts = (a, b)

        def sample(self, key, shape=()):
            keys = jax.random.split(key)
            return {"a": self.parts[0].sample(keys[0], shape), "b": self.parts[1].sample(keys[1], shape)}

        def log_prob(self, value):
            return self.parts[0].log_prob(value["a"]) + self.parts[1].log_prob(value["b"])

    jax.tree_util.register_pytree_node(Pair, lambda p: (p.parts, None), lambda _, parts: Pair(*parts))
    vae = vj.VAE(
        encode=lambda params, x: Pair(vj.DiagNormal(params * x["a"], jnp.ones(2)), vj.standard_normal(1)),
        decode=lambda params, z: Pair(vj.DiagNormal(z["a"], jnp.ones(2)), vj.Bernoulli(z["b"])),
        prior=lambda params: Pair(vj.standard_normal(2), vj.standard_normal(1)),
    )
    x = {"a": jnp.ones(2), "b": jnp.zeros(1)}
    for estimator in (vj.total, vj.stl, vj.dreg, vj.score):
        slope = jax.grad(lambda p, e=estimator: e(vj.iwae)(vae, p, jax.random.key(0), x, num_samples=4))(0.5)
        assert np.isfinite(slope)
    with pytest.raises(ValueError, match="x must be one example"):
        vj.total(vj.iwae)(vae, 0.5, jax.random.key(0), {"a": jnp.ones((3, 2)), "b": jnp.zeros((3, 1))}, num_samples=4)


def test_the_advice_for_a_batch_knows_its_size_also_of_a_pytree() -> None:
    vae = MODEL._replace(decode=lambda params, z: vj.Masked(MODEL.decode(params, z)))
    xs = vj.Observed(jnp.zeros((4, 3)), jnp.ones((4, 3), bool))
    with pytest.raises(ValueError, match=r"\(jax.random.split\(key, 4\), xs\)"):
        vj.log_weights(vae, PARAMS, jax.random.key(0), xs, num_samples=2)
