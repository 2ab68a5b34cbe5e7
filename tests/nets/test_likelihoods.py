import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.data.units import Units
from vae_jax.nets.likelihoods import LIKELIHOODS, BernoulliHead, Elements, NormalHead

MEAN = np.array([[0.2, 0.5], [0.4, 0.7]], np.float32)
LEVELS = 16


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name != "columns"])
def test_a_head_starts_at_the_data_mean_and_learns(name: str) -> None:
    likelihood = LIKELIHOODS[name]
    head = likelihood.make(Elements(MEAN, LEVELS), 0.1, "shared")
    out = jnp.zeros((2, 2, head.outputs))
    variables = jax.jit(head.init)(jax.random.key(0), out)
    p = jax.jit(head.apply)(variables, out)
    assert p.event_shape == (2, 2)
    scale = LEVELS if likelihood.sees_counts else 1
    # A categorical starts without a preference.
    loose = {"categorical": 0.6, "logistic_mixture": 0.2, "logistic": 0.1}
    np.testing.assert_allclose(p.mean / scale, MEAN, atol=loose.get(name, 1e-3))
    x = jax.jit(lambda p, key: p.sample(key))(p, jax.random.key(1))
    if likelihood.sees_counts:
        np.testing.assert_array_equal(x, jnp.round(x))
    # Counts without a largest are floats, which have no largest either.
    assert jnp.issubdtype(x.dtype, jnp.integer) == (likelihood.of == "counts")
    slope = jax.jit(jax.grad(lambda v, out: head.apply(v, out).log_prob(x), argnums=(0, 1)))(variables, out)
    for leaf in jax.tree.leaves(slope):
        assert np.isfinite(leaf).all()
        assert jnp.abs(leaf).max() > 0


@pytest.mark.parametrize(
    "name", [n for n, part in LIKELIHOODS.items() if part.sees_counts or n == "continuous_bernoulli"]
)
def test_values_outside_the_support_have_no_probability(name: str) -> None:
    head = LIKELIHOODS[name].make(Elements(MEAN, LEVELS), 0.1, "shared")
    out = jnp.zeros((2, 2, head.outputs))
    p, _ = head.init_with_output(jax.random.key(0), out)
    inside = jnp.zeros((2, 2), p.sample(jax.random.key(0)).dtype)
    assert np.isfinite(p.log_prob(inside))
    outside = [-1] if name in ("poisson", "negative_binomial") else [-1, 2 if name.startswith("cont") else LEVELS + 1]
    for value in outside:
        assert p.log_prob(inside.at[0, 1].set(value)) == -jnp.inf
    if name in ("binomial", "poisson", "negative_binomial", "logistic"):
        assert p.log_prob(jnp.asarray(inside, jnp.float32).at[0, 0].set(0.5)) == -jnp.inf


@pytest.mark.parametrize("name", [n for n, part in LIKELIHOODS.items() if part.sees_counts and "bin" not in n[:3]])
def test_counts_sum_to_one(name: str) -> None:
    head = LIKELIHOODS[name].make(Elements(MEAN, LEVELS), 0.1, "shared")
    p, _ = head.init_with_output(jax.random.key(0), 0.1 * jnp.ones((2, 2, head.outputs)))
    most = LEVELS if name in ("categorical", "logistic", "logistic_mixture") else 400
    counts = jnp.broadcast_to(jnp.arange(most + 1)[:, None, None], (most + 1, 2, 2))
    np.testing.assert_allclose(jnp.exp(jax.vmap(p.log_probs)(counts)).sum(axis=0), 1.0, rtol=1e-4)


def test_the_output_starts_at_the_data_mean() -> None:
    mean = np.array([[0.2, 0.9], [0.0, 1.0]], np.float32)
    p, _ = BernoulliHead(mean).init_with_output(jax.random.key(0), jnp.zeros((2, 2, 1)))
    np.testing.assert_allclose(p.mean, [[0.2, 0.9], [0.01, 0.99]], atol=1e-6)
    n, _ = NormalHead(mean, 0.3, "fixed").init_with_output(jax.random.key(0), jnp.zeros((2, 2, 1)))
    np.testing.assert_allclose(n.mean, mean)
    np.testing.assert_allclose(n.stddev, 0.3, rtol=1e-6)


@pytest.mark.parametrize(("learned", "moves"), [("fixed", False), ("shared", True), ("predicted", True)])
def test_the_scale_of_a_normal_likelihood(learned, moves: bool) -> None:
    head = NormalHead(np.zeros(4, np.float32), 0.5, learned)
    out = 0.1 * jax.random.normal(jax.random.key(0), (4, head.outputs))
    variables = head.init(jax.random.key(1), out)
    assert head.apply(variables, out).event_shape == (4,)
    slope = jax.grad(lambda v, out: head.apply(v, out).log_prob(jnp.ones(4)), argnums=(0, 1))(variables, out)
    has_shared = "log_scale" in variables["params"]
    assert has_shared == (learned == "shared")
    moved = float(jnp.abs(slope[0]["params"]["log_scale"])) if has_shared else float(jnp.abs(slope[1][..., -1]).max())
    assert moved > 0
    width = lambda v, out: head.apply(v, out).stddev.sum()
    by_params, by_out = jax.grad(width, argnums=(0, 1))(variables, out)
    moved = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves((by_params, by_out)))
    assert (moved > 0) == moves
    assert isinstance(head.apply(variables, out), vj.DiagNormal)


@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_a_head_in_units_is_the_head_without_in_its_own_density(name: str) -> None:
    """log p(x) of data in their own units is that of the standardised data less the logs of the spreads."""
    units = Units(np.array([1e3, -2.0], np.float32), np.array([50.0, 0.01], np.float32))
    zero = np.zeros(2, np.float32)
    plain = LIKELIHOODS[name].make(Elements(zero), 0.7, "shared")
    own = LIKELIHOODS[name].make(Elements(units.centre, units=units), 0.7, "shared")
    out = jnp.array([[0.3], [-1.2]])
    variables = plain.init(jax.random.key(0), out)
    assert jax.tree.structure(variables) == jax.tree.structure(own.init(jax.random.key(0), out))
    z = jnp.array([0.5, -0.5])
    inside = plain.apply(variables, out).log_prob(z) - np.log(units.spread).sum()
    np.testing.assert_allclose(own.apply(variables, out).log_prob(units.centre + units.spread * z), inside, rtol=1e-4)
