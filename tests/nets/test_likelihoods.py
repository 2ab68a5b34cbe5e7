import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets.likelihoods import LIKELIHOODS

MEAN = np.array([[0.2, 0.5], [0.4, 0.7]], np.float32)
LEVELS = 16


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_head_starts_at_the_data_mean_and_learns(name: str) -> None:
    likelihood = LIKELIHOODS[name]
    head = likelihood.make(MEAN, LEVELS, 0.1, "shared")
    out = jnp.zeros((2, 2, head.outputs))
    variables = head.init(jax.random.key(0), out)
    p = head.apply(variables, out)
    assert p.event_shape == (2, 2)
    scale = LEVELS if likelihood.of == "counts" else 1
    # A categorical starts without a preference.
    loose = {"categorical": 0.6, "logistic_mixture": 0.2, "logistic": 0.1}
    np.testing.assert_allclose(p.mean / scale, MEAN, atol=loose.get(name, 1e-3))
    x = p.sample(jax.random.key(1))
    if likelihood.of == "counts":
        np.testing.assert_array_equal(x, jnp.round(x))
        assert jnp.issubdtype(x.dtype, jnp.integer) == (name not in ("poisson", "negative_binomial"))
    slope = jax.grad(lambda v, out: head.apply(v, out).log_prob(x), argnums=(0, 1))(variables, out)
    for leaf in jax.tree.leaves(slope):
        assert np.isfinite(leaf).all()
        assert jnp.abs(leaf).max() > 0


@pytest.mark.parametrize("name", [n for n, part in LIKELIHOODS.items() if part.of in ("counts", "intensities")])
def test_values_outside_the_support_have_no_probability(name: str) -> None:
    head = LIKELIHOODS[name].make(MEAN, LEVELS, 0.1, "shared")
    out = jnp.zeros((2, 2, head.outputs))
    p, _ = head.init_with_output(jax.random.key(0), out)
    inside = jnp.zeros((2, 2), p.sample(jax.random.key(0)).dtype)
    assert np.isfinite(p.log_prob(inside))
    outside = [-1] if name in ("poisson", "negative_binomial") else [-1, 2 if name.startswith("cont") else LEVELS + 1]
    for value in outside:
        assert p.log_prob(inside.at[0, 1].set(value)) == -jnp.inf
    if name in ("binomial", "poisson", "negative_binomial", "logistic"):
        assert p.log_prob(jnp.asarray(inside, jnp.float32).at[0, 0].set(0.5)) == -jnp.inf


@pytest.mark.parametrize("name", [n for n, part in LIKELIHOODS.items() if part.of == "counts" and "bin" not in n[:3]])
def test_counts_sum_to_one(name: str) -> None:
    head = LIKELIHOODS[name].make(MEAN, LEVELS, 0.1, "shared")
    p, _ = head.init_with_output(jax.random.key(0), 0.1 * jnp.ones((2, 2, head.outputs)))
    most = LEVELS if name in ("categorical", "logistic", "logistic_mixture") else 400
    counts = jnp.broadcast_to(jnp.arange(most + 1)[:, None, None], (most + 1, 2, 2))
    np.testing.assert_allclose(jnp.exp(jax.vmap(p.log_probs)(counts)).sum(axis=0), 1.0, rtol=1e-4)
