"""The checks of the laws: each takes an implementation, and raises AssertionError where it breaks the law."""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import sklearn.decomposition

import vae_jax as vj
from tests.families import Family
from tests.members import (
    BOUNDS,
    DRAWS,
    X,
    gradients,
    linear_gaussian_decoder,
    linear_gaussian_params,
    mean_and_error,
    values,
    z_score,
)
from vae_jax.core.trees import freeze
from vae_jax.distributions import sample_and_log_prob, sample_and_path_log_prob
from vae_jax.models.linear_gaussian import Decoder, LinearGaussian, exact_encoder, linear_gaussian, marginal
from vae_jax.objectives.bounds import path_weights

OFF = {"shift": 0.3, "width": 1.3}


def exact_log_marginal() -> Any:
    return marginal(linear_gaussian_decoder()).log_prob(X)


@functools.cache
def total_of(bound: Any) -> Any:
    """`total(bound)`, the same object each time, so that its program is compiled once."""
    return vj.total(bound)


# Bounds


def is_lower_bound(bound: Any) -> None:
    # Near the posterior, where the gap is small and an error of a tenth of a nat would show.
    mean, error = mean_and_error(values(total_of(bound), linear_gaussian_params(shift=0.05, width=1.05)))
    assert mean <= exact_log_marginal() + 4 * error


def is_tight_at_the_posterior(bound: Any) -> None:
    found = values(total_of(bound), linear_gaussian_params())
    np.testing.assert_allclose(found, exact_log_marginal(), rtol=2e-5)


def rises_to_log_marginal(bound: Any) -> None:
    params = linear_gaussian_params(**OFF)

    @functools.partial(jax.jit, static_argnums=1)
    def found(keys: Any, ks: tuple[int, ...]) -> Any:
        draw = lambda key: vj.log_weights(linear_gaussian(), params, key, X, num_samples=ks[-1])
        log_w = jax.vmap(draw)(keys)
        return [jax.vmap(bound)(log_w[:, :k]) for k in ks]

    # The same draws: a prefix of the samples for each k.
    levels = found(jax.random.split(jax.random.key(0), DRAWS), (1, 2, 5, 20))
    for low, high in zip(levels, levels[1:], strict=False):
        mean, error = mean_and_error(high - low)
        assert mean >= -4 * error
    # The gap of k samples is Var(w/p) / 2k to first order, so 20 of them are close and 2000 closer.
    (far,) = found(jax.random.split(jax.random.key(1), 200), (2000,))
    np.testing.assert_allclose(far.mean(), exact_log_marginal(), atol=0.01)


def renyi_joins_iwae_and_elbo(renyi: Any) -> None:
    log_w = jnp.array([-3.0, 0.5, -1.2, -40.0])
    np.testing.assert_allclose(renyi(0.0)(log_w), vj.iwae(log_w), rtol=1e-5)
    np.testing.assert_allclose(renyi(1.0)(log_w), vj.elbo(log_w), rtol=1e-6)
    for alpha in (1 - 1e-4, 1 + 1e-4, 1 - 1e-6, 1 + 3e-7):
        # To first order the bound leaves the mean by (1 − α) Var / 2, here 153 for a variance of 307.
        expected = vj.elbo(log_w) + 0.5 * (1 - np.float32(alpha)) * jnp.var(log_w)
        np.testing.assert_allclose(renyi(alpha)(log_w), expected, rtol=2e-4)
    small = 1e-3 * log_w
    np.testing.assert_allclose(renyi(0.5)(small), jnp.log(jnp.mean(jnp.exp(0.5 * small))) / 0.5, rtol=1e-4)
    traced = jax.vmap(lambda alpha: jax.value_and_grad(lambda w: renyi(alpha)(w))(log_w))
    chex.assert_tree_all_finite(traced(jnp.array([0.0, 0.999999, 1.0, 2.0])))


def has_these_path_weights(weights: Any) -> None:
    log_w = jnp.array([-1.0, 0.5, 0.3, -4.0])
    for bound in BOUNDS.values():
        hidden = lambda w, bound=bound: bound(w)
        np.testing.assert_allclose(weights(bound, log_w), path_weights(hidden, log_w), atol=1e-6)


# Estimators


def sticks_the_landing(estimator: Any) -> None:
    params = linear_gaussian_params()
    noise = gradients(total_of(vj.elbo), params).encoder.std(axis=0)
    found = gradients(estimator(vj.elbo), params).encoder
    assert float(jnp.abs(found).max()) <= 1e-5 * float(noise.max())


def is_unbiased(estimate: Any, bound: Any) -> None:
    params = linear_gaussian_params(**OFF)
    plain, found = gradients(total_of(bound), params), gradients(estimate, params)
    # The same keys are the same draws of z, so the difference is far quieter than either.
    assert z_score(found.encoder - plain.encoder) < 4
    assert z_score(found.decoder - plain.decoder) < 4


def _spread(estimate: Any, width: float) -> Any:
    params = linear_gaussian_params(shift=0.1, width=width)
    return gradients(estimate, params).encoder.std(axis=0).max()


def is_quieter_where_wide_and_louder_where_narrow(estimators: Any) -> None:
    path, plain = estimators
    assert _spread(path, 1.0) < 0.5 * _spread(plain, 1.0)
    assert _spread(path, 0.2) > 1.2 * _spread(plain, 0.2)


def stl_is_biased(estimate: Any) -> None:
    params = linear_gaussian_params(**OFF)
    plain, found = gradients(total_of(vj.iwae), params), gradients(estimate, params)
    assert z_score(found.encoder - plain.encoder) > 20


def reports_the_bound(estimator: Any) -> None:
    params = linear_gaussian_params(**OFF)

    def all_bounds(estimator: Any) -> Any:
        def estimate(*arguments: Any, **options: Any) -> Any:
            found = [estimator(bound)(*arguments, **options) for bound in BOUNDS.values()]
            # A scalar that no two wrong values leave as it is.
            return jnp.dot(jnp.stack(found), jnp.array([1.0, 1.7, -0.6, 2.3, 0.4, -1.1]))

        return values(estimate, params, draws=50)

    np.testing.assert_allclose(all_bounds(estimator), all_bounds(vj.total), rtol=1e-5, atol=1e-4)


def agrees_under_transformations(estimate: Any) -> None:
    model, params = linear_gaussian(), linear_gaussian_params(**OFF)
    keys, xs = jax.random.split(jax.random.key(3), 2), X[None] + 0.1 * jnp.arange(2.0)[:, None]

    def one(key: Any, x: Any) -> Any:
        return jax.value_and_grad(lambda p: estimate(model, p, key, x, num_samples=4))(params)

    close = {"rtol": 2e-4, "atol": 2e-5}
    eager = one(keys[1], xs[1])
    batched = jax.jit(jax.vmap(one))(keys, xs)
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], batched), eager, **close)
    _, scanned = jax.lax.scan(lambda carry, at: (carry, one(*at)), 0, (keys, xs))
    chex.assert_trees_all_close(scanned, batched, **close)


def traces_once_per_shape(make: Any) -> None:
    model, params = linear_gaussian(), linear_gaussian_params()
    chex.clear_trace_counter()
    estimate = make(chex.assert_max_traces(lambda log_w: vj.iwae(log_w), n=1))
    run = jax.jit(lambda key, x: estimate(model, params, key, x, num_samples=4))
    for seed in range(3):
        run(jax.random.key(seed), X + seed)


def a_and_b(terms: Any) -> None:
    """Estimator B agrees with A in expectation, is quieter off the posterior, and A is silent at it."""
    model = linear_gaussian()

    def b(params: Any) -> Any:
        def one(key: Any) -> Any:
            found = terms(model, params, key, X)
            return found.log_likelihood - found.kl.sum()

        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), DRAWS))

    off, at = linear_gaussian_params(shift=1.0, width=0.3), linear_gaussian_params()
    a_off, b_off = (values(vj.total(vj.elbo), off, num_samples=1, draws=DRAWS), b(off))
    assert z_score(a_off - b_off) < 4
    assert b_off.std() < a_off.std()
    a_at, b_at = (values(vj.total(vj.elbo), at, num_samples=1, draws=1000), b(at))
    assert a_at.std() < 1e-5 < 0.1 < b_at.std()


def obeys_fishers_identity(sampler: Any) -> None:
    """∇ log p(x) = E_{p(z|x)} ∇ log p(x, z)."""
    decoder = linear_gaussian_decoder()
    exact = jax.grad(lambda d: marginal(d).log_prob(X))(decoder)
    model, params = linear_gaussian(), LinearGaussian(decoder, exact_encoder(decoder))

    def joint(decoder: Decoder, z: Any) -> Any:
        p = LinearGaussian(decoder, params.encoder)
        return model.prior(p).log_prob(z) + model.decode(p, z).log_prob(X)

    z = jax.vmap(sampler(model, params).sample)(jax.random.split(jax.random.key(0), DRAWS))
    found = jax.vmap(lambda z: jax.grad(joint)(decoder, z))(z)
    for leaf, expected in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        assert z_score(leaf, expected) < 4


def optimum_is_probabilistic_pca(marginal_of: Any) -> None:
    """scikit-learn's PCA is the maximum of our likelihood: same density there, and no gradient."""
    data = np.random.default_rng(0).standard_normal((500, 3)) @ np.array([[2.0, 0.3, 0.1], [0, 1, 0.2], [0, 0, 0.5]])
    pca = sklearn.decomposition.PCA(n_components=2).fit(data)
    noise = pca.noise_variance_
    weight = pca.components_.T * np.sqrt(np.maximum(pca.explained_variance_ - noise, 0))
    decoder = Decoder(*(jnp.asarray(part, jnp.float32) for part in (weight, pca.mean_, np.sqrt(noise))))
    xs = jnp.asarray(data, jnp.float32)
    found = jax.vmap(marginal_of(decoder).log_prob)(xs)
    np.testing.assert_allclose(found, pca.score_samples(data), rtol=1e-3, atol=1e-3)
    # scikit-learn divides the covariance by n − 1; the maximum of the likelihood divides by n.
    shrink = np.sqrt(499 / 500)
    best = Decoder(decoder.weight * shrink, decoder.bias, decoder.scale * shrink)
    model, params = linear_gaussian(), LinearGaussian(best, exact_encoder(best))
    keys = jax.random.split(jax.random.key(0), 500)

    def mean_elbo(params: Any) -> Any:
        bound = lambda key, x: vj.total(vj.elbo)(model, params, key, x, num_samples=1)
        return jax.vmap(bound)(keys, xs).mean()

    np.testing.assert_allclose(mean_elbo(params), jax.vmap(marginal_of(best).log_prob)(xs).mean(), rtol=1e-4)
    exact = jax.grad(lambda d: jax.vmap(marginal_of(d).log_prob)(xs).mean())(best)
    chex.assert_trees_all_close(exact, jax.tree.map(jnp.zeros_like, exact), atol=2e-4)


def miwae_joins_iwae_and_elbo(miwae: Any) -> None:
    log_w = jnp.array([-1.0, 0.5, 0.3, -4.0, 2.0, -0.7])
    np.testing.assert_allclose(miwae(1)(log_w), vj.iwae(log_w), rtol=1e-6)
    np.testing.assert_allclose(miwae(6)(log_w), vj.elbo(log_w), rtol=1e-6)
    for groups, size in ((2, 3), (3, 2)):
        expected = np.mean([vj.iwae(log_w[i * size : (i + 1) * size]) for i in range(groups)])
        np.testing.assert_allclose(miwae(groups)(log_w), expected, rtol=1e-5)


def trains_each_part_by_its_own_bound(piwae: Any) -> None:
    params = linear_gaussian_params(**OFF)
    estimate = piwae(vj.iwae, vj.miwae(2))
    found = gradients(estimate, params, draws=50)
    for bound, part in ((vj.iwae, "decoder"), (vj.miwae(2), "encoder")):
        expected = getattr(gradients(total_of(bound), params, draws=50), part)
        np.testing.assert_allclose(getattr(found, part), expected, rtol=1e-3, atol=1e-4)
    value = values(estimate, params, draws=50)
    np.testing.assert_allclose(value, values(total_of(vj.iwae), params, draws=50), rtol=1e-5)


def estimates_the_sum_over_the_data(full: Any) -> None:
    bounds = jnp.array([-3.0, -1.0, -2.0, -7.0, 0.5])
    batches = jax.vmap(lambda key: jax.random.choice(key, bounds, (2,)))(jax.random.split(jax.random.key(0), 20_000))
    assert z_score(jax.vmap(lambda b: full(b, dataset_size=5))(batches), bounds.sum()) < 4


# Distributions


def density_is_the_reference(family: Family) -> None:
    ours = family.value
    found = jax.jit(lambda key: ours.sample(key, (200,)))(jax.random.key(0))
    expected = family.reference.log_probs(found)
    np.testing.assert_allclose(jax.jit(jax.vmap(ours.log_prob))(found), expected, rtol=2e-5, atol=5e-5)


def samples_have_the_density(family: Family) -> None:
    """The mean of log p over own samples is that of the reference's samples, and so are the first moments."""
    ours = jax.jit(lambda key: family.value.sample(key, (DRAWS,)))(jax.random.key(0))
    theirs = family.reference.draws(DRAWS)
    # Bounded moments: a heavy tail has no second one.
    flat = lambda v: jnp.tanh(
        0.5 * jnp.concatenate([leaf.reshape(DRAWS, -1).astype(float) for leaf in jax.tree.leaves(v)], axis=1)
    )
    log_prob = lambda v: jnp.asarray(family.reference.log_probs(v))
    for moment in (flat, lambda v: jnp.square(flat(v)), lambda v: flat(v)[:, :1] * flat(v), log_prob):
        a, b = mean_and_error(moment(ours)), mean_and_error(moment(theirs))
        assert float(jnp.max(jnp.abs(a[0] - b[0]) / (jnp.hypot(a[1], b[1]) + 1e-5))) < 4.5


def sample_knows_its_density(family: Family) -> None:
    for draw in (sample_and_log_prob, sample_and_path_log_prob):
        drawn = jax.jit(jax.vmap(lambda key, draw=draw: draw(family.value, key)))
        value, log_prob = drawn(jax.random.split(jax.random.key(2), 50))
        np.testing.assert_allclose(log_prob, family.reference.log_probs(value), rtol=1e-4, atol=2e-4)


def score_has_mean_zero(family: Family) -> None:
    """E ∇ log p = 0 is what normalisation for every parameter says."""

    @jax.jit
    def scores(key: Any) -> Any:
        draws = family.value.sample(key, (DRAWS,))
        # Integer leaves are no parameters.
        return jax.vmap(lambda v: jax.grad(lambda d: d.log_prob(v))(family.value))(draws)

    for leaf in jax.tree.leaves(scores(jax.random.key(0))):
        assert z_score(leaf.reshape(DRAWS, -1)) < 4.5


def full_and_path_gradients(family: Family) -> None:
    """Full gradient of log q(z) = its path part + the score, on the same draw."""

    @jax.jit
    def gradients(key: Any) -> Any:
        full = jax.grad(lambda d: sample_and_log_prob(d, key)[1])(family.value)
        path = jax.grad(lambda d: sample_and_path_log_prob(d, key)[1])(family.value)
        z = family.value.sample(key)
        return full, path, jax.grad(lambda d: d.log_prob(z))(family.value)

    for seed in range(3):
        full, path, score = gradients(jax.random.key(seed))
        chex.assert_trees_all_close(full, jax.tree.map(jnp.add, path, score), atol=5e-4, rtol=1e-3)


def freezes_whole(case: tuple[Family, Callable[[Any], Any]]) -> None:
    """`case`: a family, and how a distribution is made of its parameters."""
    family, make = case
    value = jax.jit(family.value.sample)(jax.random.key(0))
    found = jax.jit(jax.grad(lambda d: freeze(make(d)).log_prob(value)))(family.value)
    assert jax.tree.leaves(found)
    assert all(float(jnp.abs(leaf).max()) == 0.0 for leaf in jax.tree.leaves(found))


def is_finite_at_extremes(family: Family) -> None:
    assert family.extremes
    for make in family.extremes:
        draw = jax.jit(lambda s, make=make: make(s).sample(jax.random.key(0)))
        slope = jax.jit(jax.value_and_grad(lambda s, v, make=make: make(s).log_prob(v)))
        for sign in (1.0, -1.0):
            value = draw(sign)
            for v in (value, jnp.ones_like(value)):
                chex.assert_tree_all_finite(slope(sign, v))


def integrates_to_one(log_prob_of_scalar: Any) -> None:
    grid = jnp.linspace(-30.0, 30.0, 200_001)
    np.testing.assert_allclose(jnp.trapezoid(jnp.exp(jax.vmap(log_prob_of_scalar)(grid)), grid), 1.0, rtol=1e-4)
