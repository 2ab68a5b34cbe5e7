import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_decoder, linear_gaussian_params
from vae_jax.evaluate.likelihood import naive_log_marginal
from vae_jax.models.linear_gaussian import Decoder, LinearGaussian, exact_encoder, linear_gaussian, marginal

MODEL, PARAMS = linear_gaussian(), linear_gaussian_params(shift=0.2, width=1.2)


def test_exact_within_its_reported_error() -> None:
    """At least 98% of 1,000 draws of x are within 3 standard errors of the exact value."""
    xs = marginal(linear_gaussian_decoder()).sample(jax.random.key(0), (1000,))
    keys = jax.random.split(jax.random.key(1), 1000)
    found = jax.jit(jax.vmap(lambda key, x: vj.log_marginal(MODEL, PARAMS, key, x, num_samples=500, chunk_size=100)))(
        keys, xs
    )
    exact = jax.vmap(marginal(linear_gaussian_decoder()).log_prob)(xs)
    within = jnp.abs(found.value - exact) < 3 * found.standard_error
    assert float(within.mean()) >= 0.98
    # The mutation: errors half as large would not pass.
    assert float((jnp.abs(found.value - exact) < 1.5 * found.standard_error).mean()) < 0.98


def test_a_remainder_of_one_is_counted() -> None:
    run = lambda chunk: jax.jit(lambda key: vj.log_marginal(MODEL, PARAMS, key, X, num_samples=5001, chunk_size=chunk))(
        jax.random.key(3)
    )
    whole, parts = run(5001), run(500)
    for a, b in zip(parts, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


@pytest.mark.parametrize("chunk", [1, 7, 100, 501, 10_000])
def test_the_chunk_changes_nothing(chunk: int) -> None:
    key = jax.random.key(0)
    whole = vj.log_marginal(MODEL, PARAMS, key, X, num_samples=501, chunk_size=501)
    found = vj.log_marginal(MODEL, PARAMS, key, X, num_samples=501, chunk_size=chunk)
    for a, b in zip(found, whole, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    log_w = vj.log_weights(MODEL, PARAMS, key, X, num_samples=501)
    np.testing.assert_allclose(found.value, vj.iwae(log_w), rtol=1e-5)
    np.testing.assert_allclose(found.elbo, vj.elbo(log_w), rtol=1e-5)
    weights = np.exp(np.asarray(log_w, np.float64))
    np.testing.assert_allclose(found.ess, weights.sum() ** 2 / np.square(weights).sum(), rtol=1e-3)
    expected = weights.std(ddof=1) / weights.mean() / np.sqrt(501)
    np.testing.assert_allclose(found.standard_error, expected, rtol=1e-3)


def test_memory_is_set_by_the_chunk_not_by_k() -> None:
    weight = jax.random.normal(jax.random.key(0), (20, 784))
    model = vj.VAE(
        encode=lambda params, x: vj.standard_normal(20),
        decode=lambda params, z: vj.Bernoulli(z @ params),
        prior=lambda params: vj.standard_normal(20),
    )

    def peak(k: int, chunk_size: int = 100) -> int:
        run = jax.jit(
            lambda x: vj.log_marginal(model, weight, jax.random.key(0), x, num_samples=k, chunk_size=chunk_size)
        )
        return run.lower(jnp.zeros(784)).compile().memory_analysis().temp_size_in_bytes

    small = peak(100)
    assert peak(5000) < 1.1 * small
    # The mutation: all samples at once.
    assert peak(5000, chunk_size=5000) > 20 * small


def test_the_naive_estimator_fails_where_the_data_are_informative() -> None:
    # Ten measurements of two latent dimensions, each precise: the prior hardly ever comes near the posterior.
    weight = jax.random.normal(jax.random.key(0), (10, 2))
    decoder = Decoder(weight, jnp.zeros(10), jnp.array(0.02))
    params = LinearGaussian(decoder, exact_encoder(decoder))
    x = marginal(decoder).sample(jax.random.key(1))
    key, exact = jax.random.key(2), marginal(decoder).log_prob(x)
    good = vj.log_marginal(MODEL, params, key, x, num_samples=1000)
    naive = naive_log_marginal(MODEL, params, key, x, num_samples=1000)
    np.testing.assert_allclose(good.value, exact, rtol=1e-3)
    assert naive.value < exact - 5
    assert naive.ess < 3
    assert naive.pareto_k > 0.7 > good.pareto_k
    # Where the data say little it works.
    vague = params._replace(decoder=decoder._replace(scale=jnp.array(20.0)))
    found = naive_log_marginal(MODEL, vague, key, x, num_samples=1000)
    assert abs(found.value - marginal(vague.decoder).log_prob(x)) < 4 * found.standard_error


def test_equal_weights_far_from_zero() -> None:
    # log w is near −4e5 for every sample: relative to one another the weights are equal to the last digit kept.
    far = vj.VAE(
        encode=lambda params, x: vj.standard_normal(2),
        decode=lambda params, z: vj.DiagNormal(jnp.full(3, 500.0), jnp.array(1.0)),
        prior=lambda params: vj.standard_normal(2),
    )
    found = vj.log_marginal(far, None, jax.random.key(0), X, num_samples=1000)
    np.testing.assert_allclose(found.ess, 1000.0, rtol=1e-3)
    assert found.standard_error < 1e-2


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_many_chunks_do_not_drift(weight: float) -> None:
    """10⁶ samples in chunks of 10. Plain running sums in float32 drift."""
    unit = vj.DiagNormal(jnp.zeros(1), jnp.ones(1))
    model = vj.VAE(
        encode=lambda params, x: unit,
        decode=lambda params, z: vj.DiagNormal(weight * z, jnp.ones(1)),
        prior=lambda params: unit,
    )
    run = jax.jit(lambda key: vj.log_marginal(model, None, key, jnp.ones(1), num_samples=1_000_000, chunk_size=10))
    found, variance = run(jax.random.key(0)), 1.0 + weight**2
    exact = -0.5 * np.log(2.0 * np.pi * variance) - 0.5 / variance
    assert abs(found.value - exact) < 4.0 * found.standard_error + 2e-6
    elbo = -0.5 * np.log(2.0 * np.pi) - 0.5 * variance
    # The standard deviation of log p(x | z) over z.
    assert abs(found.elbo - elbo) < 4.0 * np.sqrt(weight**2 + weight**4 / 2.0) / 1000.0 + 2e-6
    share = np.exp(2.0 * exact - _log_second_moment(weight))
    np.testing.assert_allclose(found.ess / 1e6, share, rtol=1e-3)


def _log_second_moment(weight: float) -> float:
    """log E N(1; weight z, 1)² over z."""
    variance = 0.5 + weight**2
    return float(-0.5 * np.log(4.0 * np.pi) - 0.5 * np.log(2.0 * np.pi * variance) - 0.5 / variance)


def test_infinite_weights_are_said() -> None:
    """A density that is infinite at some z."""
    unit = vj.DiagNormal(jnp.zeros(1), jnp.ones(1))

    class Spike:
        def __init__(self, z):
            self.z = z

        def sample(self, key, shape=()):
            return jnp.zeros((*shape, 1))

        def log_prob(self, value):
            return jnp.where(self.z[0] > 0.0, jnp.inf, -1.0)

    spiked = vj.VAE(encode=lambda params, x: unit, decode=lambda params, z: Spike(z), prior=lambda params: unit)
    for chunk in (1, 4, 16):
        found = vj.log_marginal(spiked, None, jax.random.key(0), jnp.ones(1), num_samples=16, chunk_size=chunk)
        assert np.isposinf(found.value)


def test_one_sample_has_no_error_to_report() -> None:
    found = vj.log_marginal(MODEL, PARAMS, jax.random.key(0), X, num_samples=1)
    assert np.isinf(found.standard_error)
    np.testing.assert_allclose(found.ess, 1.0, rtol=1e-5)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        vj.log_marginal(MODEL, PARAMS, jax.random.key(0), X, num_samples=0)
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        vj.log_marginal(MODEL, PARAMS, jax.random.key(0), X, num_samples=5, chunk_size=0)
    with pytest.raises(ValueError, match="log_marginal: x must be one example"):
        vj.log_marginal(MODEL, PARAMS, jax.random.key(0), jnp.zeros((2, 3)), num_samples=5)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_a_chunk_without_any_weight_leaves_the_gradient(chunk: int) -> None:
    """Draws of z outside of the prior's support have none."""

    class Interval:
        def sample(self, key, shape=()):
            return jax.random.uniform(key, (*shape, 1), minval=-1.0, maxval=1.0)

        def log_prob(self, value):
            return jnp.where(jnp.all(jnp.abs(value) < 1.0), -jnp.log(2.0), -jnp.inf)

    vae = vj.VAE(
        encode=lambda params, x: vj.DiagNormal(params[None], jnp.ones(1)),
        decode=lambda params, z: vj.DiagNormal(z, jnp.ones(1)),
        prior=lambda params: Interval(),
    )
    arguments = (jax.random.key(0), jnp.ones(1))
    bound = lambda p: vj.iwae(vj.log_weights(vae, p, *arguments, num_samples=8))
    found = lambda p: vj.log_marginal(vae, p, *arguments, num_samples=8, chunk_size=chunk).value
    expected = jax.value_and_grad(bound)(jnp.array(0.0))
    np.testing.assert_allclose(jax.value_and_grad(found)(jnp.array(0.0)), expected, rtol=1e-5)
