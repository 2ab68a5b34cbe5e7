import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, gradients, linear_gaussian_params, z_score
from vae_jax.evaluate.gradients import gradient_bias, gradient_moments, signal_to_noise
from vae_jax.models.linear_gaussian import linear_gaussian

MODEL = linear_gaussian()
PARAMS = linear_gaussian_params(shift=0.3, width=1.2)


def moments(estimate, k: int, draws: int, seed: int = 0):
    run = jax.jit(
        lambda key: gradient_moments(estimate, MODEL, PARAMS, key, X, num_samples=k, num_draws=draws, batch_size=1000)
    )
    return run(jax.random.key(seed))


def of_encoder(found):
    return found._replace(mean=found.mean.encoder, variance=found.variance.encoder)


def test_mean_and_variance_are_those_of_the_draws() -> None:
    options = {"num_samples": 4, "num_draws": 250, "batch_size": 100}
    find = lambda key: gradient_moments(vj.total(vj.iwae), MODEL, PARAMS, key, X, **options)
    found = jax.jit(find)(jax.random.key(0))
    one = lambda i: jax.grad(
        lambda p: vj.total(vj.iwae)(MODEL, p, jax.random.fold_in(jax.random.key(0), i), X, num_samples=4)
    )(PARAMS)
    draws = jax.jit(jax.vmap(one))(jnp.arange(250))
    for a, b, c in zip(*map(jax.tree.leaves, (found.mean, found.variance, draws)), strict=True):
        np.testing.assert_allclose(a, c.mean(axis=0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(b, c.var(axis=0, ddof=1), rtol=1e-3, atol=1e-6)


def test_the_encoders_signal_falls_with_k_for_iwae_and_rises_for_dreg() -> None:
    """Rainforth et al. 2018 and Tucker et al. 2018: as 1/√k and √k."""
    ratio = lambda estimate, k: float(signal_to_noise(of_encoder(moments(estimate, k, 10_000))))
    plain = [ratio(vj.total(vj.iwae), k) for k in (1, 8, 64)]
    doubly = [ratio(vj.dreg(vj.iwae), k) for k in (1, 8, 64)]
    assert plain[0] > 1.5 * plain[1] > 2.25 * plain[2]
    assert doubly[2] > 1.5 * doubly[1] > 1.8 * doubly[0]
    # The decoder's signal rises for both.
    decoder = [moments(vj.total(vj.iwae), k, 10_000) for k in (1, 64)]
    low, high = (signal_to_noise(m._replace(mean=m.mean.decoder, variance=m.variance.decoder)) for m in decoder)
    assert high > 1.5 * low


def test_bias_is_found_where_there_is_one() -> None:
    reference = moments(vj.total(vj.iwae), 4, 10_000, seed=1)
    largest = {}
    for name, estimate in (("dreg", vj.dreg(vj.iwae)), ("stl", vj.stl(vj.iwae))):
        bias, error = gradient_bias(moments(estimate, 4, 10_000), reference)
        pairs = zip(jax.tree.leaves(bias.encoder), jax.tree.leaves(error.encoder), strict=True)
        largest[name] = max(float(jnp.max(jnp.abs(b) / (e + 1e-6))) for b, e in pairs)
    assert largest["dreg"] < 4 < 10 < largest["stl"]
    # The same verdict by the draws themselves.
    assert z_score(gradients(vj.dreg(vj.iwae), PARAMS).encoder - gradients(vj.total(vj.iwae), PARAMS).encoder) < 4


def test_one_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        gradient_moments(
            vj.total(vj.elbo), MODEL, PARAMS, jax.random.key(0), X, num_samples=1, num_draws=2, batch_size=0
        )
    with pytest.raises(ValueError, match="a variance needs num_draws of at least 2, got 1"):
        gradient_moments(vj.total(vj.elbo), MODEL, PARAMS, jax.random.key(0), X, num_samples=1, num_draws=1)


def test_half_precision_is_summed_in_single() -> None:
    rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS)
    single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), rounded)
    options = {"num_samples": 1, "num_draws": 3000, "batch_size": 1}
    found, expected = (
        jax.jit(lambda p: gradient_moments(vj.total(vj.elbo), MODEL, p, jax.random.key(0), X, **options))(p)
        for p in (rounded, single)
    )
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.1, atol=0.3)
