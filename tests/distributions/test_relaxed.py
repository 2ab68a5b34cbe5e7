from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.members import z_score
from vae_jax.distributions import sample_and_log_prob, sample_and_path_log_prob
from vae_jax.distributions.divergences import kl_terms

LOGITS = jnp.array([[0.3, -0.6, 0.9], [0.0, 0.4, -0.2]])


def test_a_cold_sample_is_one_hot_and_a_straight_through_one_exactly() -> None:
    key = jax.random.key(0)
    cold = vj.Concrete(LOGITS, jnp.array(1e-3)).sample(key, (50,))
    hard = vj.StraightThrough(vj.Concrete(LOGITS, jnp.array(0.7))).sample(key, (50,))
    np.testing.assert_allclose(cold, hard, atol=1e-3)
    assert set(np.unique(hard)) == {0.0, 1.0}
    np.testing.assert_array_equal(hard.sum(-1), 1.0)


def test_a_straight_through_sample_has_the_gradient_of_the_relaxed_one() -> None:
    key, weight = jax.random.key(1), jnp.arange(6.0).reshape(2, 3)
    slopes = [
        jax.grad(lambda logits, wrap=wrap: jnp.sum(weight * wrap(vj.Concrete(logits, jnp.array(0.7))).sample(key)))(
            LOGITS
        )
        for wrap in (vj.StraightThrough, lambda q: q)
    ]
    np.testing.assert_allclose(*slopes, rtol=1e-6)
    assert jnp.abs(slopes[0]).max() > 0.1


def test_a_relaxed_bit_differentiates_in_its_logit() -> None:
    """At temperature 1 it is u / (u + (1 − u) exp(−l)), u uniform, whose mean has a closed form."""
    logits = jnp.array([-1.5, 0.4, 3.0])
    mean = lambda logit: -1.0 / jnp.expm1(-logit) - logit * jnp.exp(-logit) / jnp.square(jnp.expm1(-logit))
    sample = lambda logits, key: vj.RelaxedBernoulli(logits, jnp.array(1.0)).sample(key)
    keys = jax.random.split(jax.random.key(0), 20_000)
    assert z_score(jax.vmap(lambda key: sample(logits, key))(keys), mean(logits)) < 4
    slopes = jax.jit(jax.vmap(jax.grad(lambda *of: sample(*of).sum()), in_axes=(None, 0)))(logits, keys)
    assert z_score(slopes, jax.vmap(jax.grad(mean))(logits)) < 4


def test_the_kl_is_that_of_the_choices() -> None:
    prior = vj.OneHotCategorical(jnp.zeros((2, 3)))
    for q in (vj.Concrete(LOGITS, jnp.array(0.5)), vj.StraightThrough(vj.Concrete(LOGITS, jnp.array(0.5)))):
        terms = kl_terms(q, prior)
        assert terms.shape == (2,)
        np.testing.assert_allclose(terms, kl_terms(vj.Categorical(LOGITS), vj.Categorical(prior.logits)), rtol=1e-6)


def test_a_relaxed_sample_has_no_probability_as_a_choice() -> None:
    soft = vj.Concrete(LOGITS, jnp.array(0.7)).sample(jax.random.key(0))
    assert vj.OneHotCategorical(LOGITS).log_prob(soft) == -jnp.inf
    with pytest.raises(ValueError, match="must be one event of shape"):
        vj.Categorical(LOGITS).log_prob(soft)
    with pytest.raises(TypeError, match="must hold integers"):
        vj.Categorical(LOGITS).log_prob(soft[:, 0])


def test_a_model_of_relaxed_choices_is_measured_with_discrete_ones() -> None:
    """By enumeration: nine codes of two choices among three."""
    table = jax.random.normal(jax.random.key(2), (2, 3, 4))
    relaxed = vj.VAE(
        encode=lambda p, x: vj.Concrete(LOGITS + x[0], jnp.array(0.6)),
        decode=lambda p, z: vj.DiagNormal(jnp.einsum("ik,ikd->d", z, table), jnp.array(0.5)),
        prior=lambda p: vj.OneHotCategorical(jnp.zeros((2, 3))),
    )
    x = jnp.array([0.4, -0.2, 0.9, 0.1])
    codes = jnp.stack([jax.nn.one_hot(jnp.array([i, j]), 3) for i in range(3) for j in range(3)])
    joint = jax.vmap(lambda z: relaxed.decode(None, z).log_prob(x) - 2 * jnp.log(3.0))(codes)
    exact = jax.nn.logsumexp(joint)
    found = vj.log_marginal(vj.discretised(relaxed), None, jax.random.key(0), x, num_samples=20_000)
    assert abs(found.value - exact) < 4 * found.standard_error


def test_the_concrete_bound_is_a_bound() -> None:
    """With a relaxed prior the log-weights are of one model of relaxed codes, and IWAE rises in k."""
    model = vj.VAE(
        encode=lambda p, x: vj.Concrete(LOGITS, jnp.array(0.6)),
        decode=lambda p, z: vj.DiagNormal(jnp.sum(z, axis=0), jnp.array(0.7)),
        prior=lambda p: vj.Concrete(jnp.zeros((2, 3)), jnp.array(0.5)),
    )
    keys, x = jax.random.split(jax.random.key(0), 4000), jnp.array([1.0, 0.2, 0.5])
    bound = lambda k: jax.jit(jax.vmap(lambda key: vj.iwae(vj.log_weights(model, None, key, x, num_samples=k))))(keys)
    one, twenty = bound(1), bound(20)
    assert twenty.mean() > one.mean() + 0.1
    exact = vj.log_marginal(model, None, jax.random.key(1), x, num_samples=100_000, chunk_size=1000)
    assert twenty.mean() < exact.value + 4 * exact.standard_error
    assert z_score(jnp.exp(one - exact.value)[:, None], 1.0) < 4


def test_the_relaxed_bound_tends_to_the_discrete_one_as_the_temperature_falls() -> None:
    """By enumeration of nine codes; the relaxed ELBO has the KL of the choices and a likelihood of relaxed samples."""
    table = jax.random.normal(jax.random.key(2), (2, 3, 4))
    x = jnp.array([0.4, -0.2, 0.9, 0.1])

    def model(temperature: float) -> vj.VAE:
        return vj.VAE(
            encode=lambda p, x: vj.Concrete(LOGITS, jnp.array(temperature)),
            decode=lambda p, z: vj.DiagNormal(jnp.einsum("ik,ikd->d", z, table), jnp.array(0.5)),
            prior=lambda p: vj.OneHotCategorical(jnp.zeros((2, 3))),
        )

    q = vj.OneHotCategorical(LOGITS)
    codes = jnp.stack([jax.nn.one_hot(jnp.array([i, j]), 3) for i in range(3) for j in range(3)])
    log_q = jax.vmap(q.log_prob)(codes)
    log_p = jax.vmap(lambda z: model(1.0).decode(None, z).log_prob(x))(codes) - 2 * jnp.log(3.0)
    exact = jnp.sum(jnp.exp(log_q) * (log_p - log_q))
    gaps = []
    for temperature in (1.0, 0.3, 0.1, 0.01):
        keys = jax.random.split(jax.random.key(3), 20_000)
        terms = jax.vmap(lambda key, t=temperature: vj.elbo_terms(model(t), None, key, x))(keys)
        bounds = terms.log_likelihood - terms.kl.sum(axis=1)
        gaps.append((float(bounds.mean() - exact), float(bounds.std() / np.sqrt(20_000))))
    assert abs(gaps[0][0]) > 20 * gaps[0][1]
    sizes = [abs(gap) for gap, _ in gaps]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[3] < 4 * gaps[3][1]


def test_every_choice_may_have_a_temperature_of_its_own() -> None:
    logits, temperature = jax.random.normal(jax.random.key(0), (3, 4)), jnp.array([[0.5], [1.0], [2.0]])
    whole = vj.Concrete(logits, temperature)
    y, log_p = sample_and_log_prob(whole, jax.random.key(1))
    alone = [vj.Concrete(logits[i], temperature[i, 0]).log_prob(y[i]) for i in range(3)]
    np.testing.assert_allclose(whole.log_prob(y), sum(alone), rtol=1e-5)
    np.testing.assert_allclose(log_p, sum(alone), rtol=1e-5)
    with pytest.raises(ValueError, match=r"a choice has one temperature, so its shape must be .*got \(4,\)"):
        vj.Concrete(logits, jnp.ones(4)).log_prob(y)


def test_a_masked_choice_leaves_the_others_their_probability_and_their_gradient() -> None:
    logits, value = jnp.array([0.0, -jnp.inf, 1.0]), jnp.array([1.0, 0.0, 0.0])
    d = vj.OneHotCategorical(logits)
    np.testing.assert_allclose(d.log_prob(value), -np.log1p(np.e), rtol=1e-6)
    assert d.log_prob(jnp.array([0.0, 1.0, 0.0])) == -jnp.inf
    by_logits, by_value = jax.grad(lambda a, v: vj.OneHotCategorical(a).log_prob(v), argnums=(0, 1))(logits, value)
    np.testing.assert_allclose(by_logits, [1.0 - d.mean[0], 0.0, -d.mean[2]], atol=1e-6)
    # The gradient in a zero is the log-probability of that choice, which a straight-through sample needs.
    np.testing.assert_allclose(by_value, [-np.log1p(np.e), 0.0, 1.0 - np.log1p(np.e)], rtol=1e-6)


# Logits, and how a distribution is made of them.
CORNERS: dict[str, tuple[Any, Any]] = {
    "RelaxedBernoulli": (jnp.array([6.0, -6.0, 0.0]), lambda logits: vj.RelaxedBernoulli(logits, jnp.array(0.3))),
    "RelaxedBernoulli, colder": (jnp.array([3.0, -40.0]), lambda logits: vj.RelaxedBernoulli(logits, jnp.array(0.05))),
    "Concrete": (jnp.array([[6.0, 0.0, 0.0], [0.0, 0.3, 0.1]]), lambda logits: vj.Concrete(logits, jnp.array(0.1))),
}


@pytest.mark.parametrize("name", CORNERS)
def test_a_sample_that_rounds_to_a_corner_has_one_density_under_equal_distributions(name: str) -> None:
    (logits, make), keys = CORNERS[name], jax.random.split(jax.random.key(0), 4000)

    def log_weight(q: Any, key: Any, draw: Any) -> Any:
        z, log_q = draw(make(q), key)
        return make(logits).log_prob(z) - log_q

    for draw in (sample_and_log_prob, sample_and_path_log_prob):
        found, slopes = jax.vmap(lambda key, draw=draw: jax.value_and_grad(log_weight)(logits, key, draw))(keys)
        np.testing.assert_allclose(found, 0.0, atol=1e-4)
        if draw is sample_and_path_log_prob:
            np.testing.assert_allclose(slopes, 0.0, atol=1e-3)


def test_weights_of_samples_that_round_to_a_corner_have_a_mean_of_one() -> None:
    logits, make = CORNERS["Concrete"]
    p = make(logits + jnp.array([[0.2, -0.1, -0.3], [-0.2, 0.1, 0.3]]))
    z, log_q = jax.vmap(lambda key: sample_and_log_prob(make(logits), key))(jax.random.split(jax.random.key(1), 40_000))
    assert z_score(jnp.exp(jax.vmap(p.log_prob)(z) - log_q)[:, None], 1.0) < 4.5


def choice(params: Any, before: Any) -> Any:
    return vj.Concrete(params @ before, jnp.array(0.6))


def test_layers_of_relaxed_choices_are_measured_with_discrete_ones() -> None:
    """By enumeration: three choices, and two given each of them."""
    down, up, last = jax.random.normal(jax.random.key(0), (3, 3, 3))
    table = jax.random.normal(jax.random.key(1), (6, 4))
    relaxed = vj.VAE(
        encode=lambda p, x: vj.bottom_up(vj.Concrete(x[:3], jnp.array(0.6)), Partial(choice, up[:2])),
        decode=lambda p, z: vj.DiagNormal(z[0] @ table[:3] + z[1] @ table[3:5], jnp.array(0.5)),
        prior=lambda p: vj.top_down(vj.Concrete(last[0, :2], jnp.array(0.6)), Partial(choice, down[:, :2])),
    )
    x = jnp.array([0.4, -0.2, 0.9, 0.1])
    one, two = jnp.eye(3), jnp.eye(2)
    joint = [
        jax.nn.log_softmax(last[0, :2])[j]
        + jax.nn.log_softmax(down[:, :2] @ two[j])[i]
        + relaxed.decode(None, (one[i], two[j])).log_prob(x)
        for i in range(3)
        for j in range(2)
    ]
    found = vj.log_marginal(vj.discretised(relaxed), None, jax.random.key(0), x, num_samples=20_000)
    assert abs(found.value - jax.nn.logsumexp(jnp.stack(joint))) < 4 * found.standard_error


def test_layers_along_a_path_and_parts_of_a_product_become_discrete() -> None:
    factors = [Partial(choice, jnp.ones((3, 2))), Partial(choice, jnp.ones((2, 2)))]
    steps = [Partial(lambda w, s, z: s + w * z[:2], jnp.ones(())), Partial(lambda w, s, z: s, jnp.ones(()))]
    path = vj.top_down_path(jnp.zeros(2), factors, steps)
    both = vj.Product({"path": path, "bits": vj.RelaxedBernoulli(jnp.zeros(3), jnp.array(0.6))})
    vae = vj.VAE(encode=lambda p, x: both, decode=lambda p, z: z, prior=lambda p: both)
    for found in (vj.discretised(vae).encode(None, None), vj.discretised(vae).prior(None)):
        for leaf in jax.tree.leaves(jax.vmap(found.sample)(jax.random.split(jax.random.key(0), 20))):
            assert set(np.unique(leaf)) == {0.0, 1.0}
