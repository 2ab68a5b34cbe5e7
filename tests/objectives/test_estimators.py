from dataclasses import dataclass
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import BOUNDS, ESTIMATORS, X, gradients, linear_gaussian_params, z_score
from vae_jax.models.linear_gaussian import linear_gaussian
from vae_jax.objectives.estimators import leave_one_out

rows = pytest.mark.parametrize("name", ESTIMATORS)
WITH_PIWAE = {**ESTIMATORS, "piwae": lambda bound: vj.piwae(bound, bound)}
MODEL, PARAMS = linear_gaussian(), linear_gaussian_params(shift=0.2)


@rows
def test_bad_arguments_are_refused_at_trace_time(name: str) -> None:
    estimate, key = ESTIMATORS[name](vj.iwae), jax.random.key(0)
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        estimate(MODEL, PARAMS, key, X, num_samples=0)
    with pytest.raises(TypeError, match=r"num_samples must be a static integer, got 2\.5"):
        estimate(MODEL, PARAMS, key, X, num_samples=2.5)
    with pytest.raises(TypeError, match="typed PRNG key, got 3"):
        estimate(MODEL, PARAMS, 3, X, num_samples=2)
    with pytest.raises(TypeError, match="typed PRNG key, got an array of uint32"):
        estimate(MODEL, PARAMS, jax.random.PRNGKey(0), X, num_samples=2)
    with pytest.raises(ValueError, match=r"x must be one example of shape \(3,\), got \(8, 3\). For a batch: jax.vmap"):
        jax.eval_shape(lambda x: estimate(MODEL, PARAMS, key, x, num_samples=2), jnp.zeros((8, 3)))


@rows
def test_what_is_no_bound_is_refused_at_once(name: str) -> None:
    with pytest.raises(TypeError, match=r"renyi makes a bound of a number: \w+\(renyi\(…\)\)"):
        ESTIMATORS[name](vj.renyi)
    with pytest.raises(TypeError, match=r"takes a bound, a function of log-weights \[k\], and got an estimate"):
        ESTIMATORS[name](vj.dreg(vj.iwae))


def test_discrete_posteriors_are_for_score_alone() -> None:
    vae = vj.VAE(
        encode=lambda params, x: vj.Bernoulli(params * x),
        decode=lambda params, z: vj.DiagNormal(z, jnp.array(1.0)),
        prior=lambda params: vj.Bernoulli(jnp.zeros(3)),
    )
    arguments = (vae, jnp.ones(3), jax.random.key(0), X)
    for estimate in (vj.total(vj.elbo), vj.stl(vj.elbo), vj.dreg(vj.iwae), vj.piwae(vj.iwae, vj.elbo)):
        with pytest.raises(TypeError, match=r"samples of the posterior Bernoulli carry no gradient.*score\(bound\)"):
            estimate(*arguments, num_samples=2)
    with pytest.raises(TypeError, match="elbo_terms: samples of the posterior Bernoulli carry no gradient"):
        vj.elbo_terms(*arguments)
    assert vj.log_weights(*arguments, num_samples=2).shape == (2,)
    # Two to the third codes: the exact gradient by enumeration.
    codes = jnp.array([[i >> j & 1 for j in range(3)] for i in range(8)], jnp.float32)

    def exact(params):
        q = vae.encode(params, X)
        log_q = jax.vmap(q.log_prob)(codes)
        log_joint = jax.vmap(lambda z: vae.prior(params).log_prob(z) + vae.decode(params, z).log_prob(X))(codes)
        return jnp.sum(jnp.exp(log_q) * (log_joint - log_q))

    slope = jax.grad(lambda p, key: vj.score(vj.elbo)(vae, p, key, X, num_samples=4))
    found = jax.vmap(slope, in_axes=(None, 0))(jnp.ones(3), jax.random.split(jax.random.key(0), 20_000))
    assert z_score(found, jax.grad(exact)(jnp.ones(3))) < 4


def test_vimco_is_unbiased_by_enumeration() -> None:
    """score(iwae) on two bits: the exact gradient sums over all pairs and triples of codes."""
    x = jnp.array([0.7, -1.1])
    codes = jnp.array([[i, j] for i in (0.0, 1.0) for j in (0.0, 1.0)])
    vae = vj.VAE(
        encode=lambda params, x: vj.Bernoulli(params["q"] * x),
        decode=lambda params, z: vj.DiagNormal(params["p"] * z, jnp.array(0.8)),
        prior=lambda params: vj.Bernoulli(jnp.zeros(2)),
    )
    params = {"q": jnp.array([1.0, 0.6]), "p": jnp.array([0.5, -0.9])}

    def exact(params: Any, k: int) -> Any:
        log_q = jax.vmap(vae.encode(params, x).log_prob)(codes)
        log_w = jax.vmap(lambda z: vae.prior(params).log_prob(z) + vae.decode(params, z).log_prob(x))(codes) - log_q
        chosen = jnp.array(list(product(range(4), repeat=k)))
        bounds = jax.vmap(lambda rows: vj.iwae(log_w[rows]))(chosen)
        return jnp.sum(jnp.exp(jnp.sum(log_q[chosen], axis=1)) * bounds)

    for k in (2, 3):
        slope = jax.grad(lambda p, key, k=k: vj.score(vj.iwae)(vae, p, key, x, num_samples=k))
        found = jax.jit(jax.vmap(slope, in_axes=(None, 0)))(params, jax.random.split(jax.random.key(k), 40_000))
        expected = jax.grad(exact)(params, k)
        for name in params:
            assert z_score(found[name], expected[name]) < 4


def test_dreg_of_elbo_is_stl_of_elbo() -> None:
    found = [gradients(e(vj.elbo), PARAMS, num_samples=3, draws=20) for e in (vj.dreg, vj.stl)]
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_dreg_weighs_a_vanished_weight_by_nothing() -> None:
    # One sample takes all the weight: the others' slopes underflow to zero, and nothing becomes NaN.
    sharp = PARAMS._replace(decoder=PARAMS.decoder._replace(scale=jnp.array(1e-2)))
    for bound in BOUNDS.values():
        found = jax.grad(lambda p, b=bound: vj.dreg(b)(MODEL, p, jax.random.key(0), X, num_samples=8))(sharp)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))


def test_dreg_serves_a_bound_without_closed_form() -> None:
    hidden = lambda log_w: vj.iwae(log_w)
    found = [gradients(vj.dreg(b), PARAMS, num_samples=3, draws=10) for b in (vj.iwae, hidden)]
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_the_variances_named_in_the_docstring() -> None:
    """Target N(0, 1), q = N(0.3, 0.2²), elbo: sd of the gradient for the mean 0.20 (total) and 4.8 (stl)."""
    vae = vj.VAE(
        encode=lambda mean, x: vj.DiagNormal(mean, jnp.array(0.2)),
        decode=lambda mean, z: vj.DiagNormal(jnp.zeros(1), jnp.array(1.0)),
        prior=lambda mean: vj.standard_normal(1),
    )

    def spread(estimate) -> float:
        slope = jax.grad(lambda m, key: estimate(vae, m, key, jnp.zeros(1), num_samples=1))
        keys = jax.random.split(jax.random.key(0), 20_000)
        return float(jax.vmap(slope, in_axes=(None, 0))(jnp.array([0.3]), keys).std())

    assert spread(vj.total(vj.elbo)) == pytest.approx(0.20, abs=0.01)
    assert spread(vj.stl(vj.elbo)) == pytest.approx(4.8, abs=0.1)


def test_leave_one_out_does_not_depend_on_its_own_sample() -> None:
    log_w = jnp.array([-1.0, 0.5, 0.3, -4.0])
    for bound in BOUNDS.values():
        jacobian = jax.jacobian(lambda w, b=bound: leave_one_out(b, w))(log_w)
        np.testing.assert_allclose(jnp.diagonal(jacobian), 0.0, atol=1e-6)
    np.testing.assert_array_equal(leave_one_out(vj.elbo, jnp.array([2.0])), jnp.zeros(1))


def test_the_baseline_cuts_the_variance_of_score() -> None:
    with_baseline = gradients(vj.score(vj.elbo), PARAMS, num_samples=4, draws=2000).encoder.std(axis=0).max()
    without = gradients(vj.score(vj.elbo), PARAMS, num_samples=1, draws=8000).encoder
    without = without.reshape(2000, 4, -1).mean(axis=1).std(axis=0).max()
    assert with_baseline < 0.7 * without


def test_path_estimators_in_parallel_on_a_mesh() -> None:
    """shard_map over examples, as a user would write it."""
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("data")
    estimate = vj.dreg(vj.iwae)

    def batch(keys, xs):
        return jax.vmap(lambda key, x: estimate(MODEL, PARAMS, key, x, num_samples=3))(keys, xs)

    keys, xs = jax.random.split(jax.random.key(0), 4), jnp.ones((4, 3)) * X[None]
    sharded = jax.jit(jax.shard_map(batch, mesh=mesh, in_specs=(spec, spec), out_specs=spec))
    np.testing.assert_allclose(sharded(keys, xs), batch(keys, xs), rtol=1e-5)


@dataclass(frozen=True)
class Interval:
    """Uniform between −1 and 1, so that draws outside of it have no weight at all."""

    def sample(self, key: Any, shape: tuple[int, ...] = ()) -> Any:
        return jax.random.uniform(key, (*shape, 1), minval=-1.0, maxval=1.0)

    def log_prob(self, value: Any) -> Any:
        return jnp.where(jnp.all(jnp.abs(value) < 1.0), -jnp.log(2.0), -jnp.inf)


WITHIN = vj.VAE(
    encode=lambda params, x: vj.DiagNormal(params[None], jnp.ones(1)),
    decode=lambda params, z: vj.DiagNormal(z, jnp.ones(1)),
    prior=lambda params: Interval(),
)


@pytest.mark.parametrize("bound", BOUNDS)
@rows
def test_a_draw_of_no_weight_leaves_the_value_that_of_the_bound(name: str, bound: str) -> None:
    arguments = (WITHIN, jnp.array(0.3), jax.random.key(0), jnp.ones(1))
    log_w = vj.log_weights(*arguments, num_samples=8)
    assert np.isneginf(log_w).any()
    estimate = ESTIMATORS[name](BOUNDS[bound])
    value, slope = jax.value_and_grad(lambda p: estimate(WITHIN, p, *arguments[2:], num_samples=8))(arguments[1])
    np.testing.assert_allclose(value, BOUNDS[bound](log_w), rtol=1e-6)
    if np.isfinite(value):
        assert np.isfinite(slope)


def test_score_is_unbiased_with_draws_of_no_weight() -> None:
    """Three choices, one of which the prior rules out: the exact gradient sums over all triples."""
    codes = jnp.arange(3)
    vae = vj.VAE(
        encode=lambda params, x: vj.Categorical(params),
        decode=lambda params, z: vj.DiagNormal(z.astype(float), jnp.array(0.8)),
        prior=lambda params: vj.Categorical(jnp.array([0.0, 0.5, -jnp.inf])),
    )
    params, x, k = jnp.array([0.3, -0.2, 0.1]), jnp.array(0.4), 3
    # Where all three are ruled out, the bound is −inf and has no gradient.
    chosen = jnp.array([codes for codes in product(range(3), repeat=k) if set(codes) != {2}])

    def exact(params: Any) -> Any:
        log_q = jax.nn.log_softmax(params)
        log_joint = jax.vmap(lambda z: vae.prior(params).log_prob(z) + vae.decode(params, z).log_prob(x))(codes)
        bounds = jax.vmap(lambda rows: vj.iwae((log_joint - log_q)[rows]))(chosen)
        return jnp.sum(jnp.exp(jnp.sum(log_q[chosen], axis=1)) * bounds)

    def found(key: Any) -> Any:
        value, slope = jax.value_and_grad(lambda p: vj.score(vj.iwae)(vae, p, key, x, num_samples=k))(params)
        return jnp.where(jnp.isfinite(value), slope, 0.0)

    slopes = jax.jit(jax.vmap(found))(jax.random.split(jax.random.key(0), 40_000))
    assert np.isfinite(slopes).all()
    assert z_score(slopes, jax.grad(exact)(params)) < 4


def test_parameters_may_hold_a_function() -> None:
    params = {"activation": jnp.tanh, "weight": jnp.eye(2)}
    vae = vj.VAE(
        encode=lambda params, x: vj.DiagNormal(params["activation"](params["weight"] @ x), jnp.ones(2)),
        decode=lambda params, z: vj.DiagNormal(z, jnp.ones(2)),
        prior=lambda params: vj.standard_normal(2),
    )
    for estimator in ESTIMATORS.values():
        value = estimator(vj.iwae)(vae, params, jax.random.key(0), jnp.ones(2), num_samples=2)
        assert np.isfinite(value)


@pytest.mark.parametrize("name", ["total", "dreg", "score", "piwae"])
def test_the_gradient_with_respect_to_x_counts_it_once(name: str) -> None:
    def slopes(estimate: Any, seed: int) -> Any:
        slope = jax.grad(lambda x, key: estimate(MODEL, PARAMS, key, x, num_samples=4))
        return jax.jit(jax.vmap(slope, in_axes=(None, 0)))(X, jax.random.split(jax.random.key(seed), 20_000))

    expected = jnp.mean(slopes(vj.total(vj.iwae), 0), axis=0)
    # The error of what is expected is of the same size.
    assert z_score(slopes(WITH_PIWAE[name](vj.iwae), 1), expected) < 5.0


@pytest.mark.parametrize("name", ["total", "dreg", "score", "piwae"])
def test_the_value_is_that_of_the_bound_to_the_last_digit(name: str) -> None:
    far = 1000.0 * X
    value = WITH_PIWAE[name](vj.elbo)(MODEL, PARAMS, jax.random.key(0), far, num_samples=1)
    expected = vj.log_weights(MODEL, PARAMS, jax.random.key(0), far, num_samples=1)[0]
    np.testing.assert_allclose(value, expected, rtol=3e-7)
