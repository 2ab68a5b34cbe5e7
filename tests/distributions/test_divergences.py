import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as nd
import pytest
import scipy.special

import vae_jax as vj
from tests.members import z_score
from vae_jax.distributions.divergences import kl_terms

_LOC, _SCALE = jnp.array([0.5, -1.0, 2.0]), jnp.array([0.5, 1.5, 0.9])
_TRIL = jnp.array([[0.8, 9.0, 9.0], [-0.6, 1.1, 9.0], [0.3, 0.2, 0.7]])
_LOGITS = jnp.array([0.3, -2.0, 1.0])
# Two members of each group, so that every ordered pair is tried.
GROUPS = {
    "normal": [
        vj.DiagNormal(_LOC, _SCALE),
        vj.DiagNormal(-_LOC, jnp.array(1.2)),
        vj.FullNormal(_LOC - 0.3, _TRIL),
        vj.standard_normal(3),
    ],
    "bernoulli": [vj.Bernoulli(_LOGITS), vj.Bernoulli(-0.5 * _LOGITS)],
    "categorical": [vj.Categorical(jnp.stack([_LOGITS, -_LOGITS])), vj.Categorical(jnp.zeros((2, 3)))],
}
PAIRS = [pair for group in GROUPS.values() for pair in itertools.product(group, repeat=2)]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{type(pair[0]).__name__}-{type(pair[1]).__name__}")
def test_kl_is_the_mean_log_ratio(pair) -> None:
    q, p = pair
    z = jax.vmap(q.sample)(jax.random.split(jax.random.key(0), 40_000))
    ratio = jax.vmap(lambda z: q.log_prob(z) - p.log_prob(z))(z)
    assert z_score(ratio, vj.kl(q, p)) < 4
    assert vj.kl(q, p) >= -1e-5
    assert abs(vj.kl(q, q)) < 1e-5
    if q is not p:
        # The mutation: the divergence is not symmetric, so arguments in the wrong order are found out.
        assert z_score(ratio, 1.1 * vj.kl(q, p) + 0.1) > 4


def test_kl_against_numpyro() -> None:
    q, p = vj.FullNormal(_LOC, _TRIL), vj.FullNormal(-_LOC, jnp.eye(3) + jnp.tril(_TRIL))
    reference = [nd.MultivariateNormal(d.loc, scale_tril=d.tril) for d in (q, p)]
    with jax.numpy_rank_promotion("allow"):
        np.testing.assert_allclose(vj.kl(q, p), nd.kl_divergence(*reference), rtol=1e-5)
    a, b = vj.DiagNormal(_LOC, _SCALE), vj.DiagNormal(-_LOC, 2 * _SCALE)
    expected = nd.kl_divergence(nd.Normal(a.loc, a.scale), nd.Normal(b.loc, b.scale))
    np.testing.assert_allclose(kl_terms(a, b), expected, rtol=1e-5)


def test_closed_forms_of_the_literature() -> None:
    diagonal = 0.5 * jnp.sum(_SCALE**2 + _LOC**2 - 1 - jnp.log(_SCALE**2))
    np.testing.assert_allclose(vj.kl(vj.DiagNormal(_LOC, _SCALE), vj.standard_normal(3)), diagonal, rtol=1e-6)
    full = vj.FullNormal(_LOC, _TRIL)
    covariance = full.covariance
    expected = 0.5 * (jnp.trace(covariance) + _LOC @ _LOC - 3 - jnp.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(vj.kl(full, vj.standard_normal(3)), expected, rtol=1e-5)


def test_kl_is_finite_with_its_gradient_at_extremes() -> None:
    for log_scale in (-20.0, 20.0):
        found = jax.value_and_grad(
            lambda s: vj.kl(vj.DiagNormal(jnp.zeros(2), jnp.exp(jnp.full(2, s))), vj.standard_normal(2))
        )(log_scale)
        assert np.isfinite(found).all()
    for logit in (-1e4, 1e4):
        found = jax.value_and_grad(lambda s: vj.kl(vj.Bernoulli(s[None]), vj.Bernoulli(jnp.zeros(1))))(jnp.array(logit))
        assert np.isfinite(found).all()


def test_missing_pair_is_named() -> None:
    with pytest.raises(TypeError, match=r"no closed form for \(Bernoulli, DiagNormal\).*register_kl.*total\(elbo\)"):
        vj.kl(vj.Bernoulli(_LOGITS), vj.standard_normal(3))


def test_different_events_are_refused() -> None:
    with pytest.raises(ValueError, match=r"same event shape, got \(3,\) and \(2,\).*vmap"):
        vj.kl(vj.DiagNormal(_LOC, _SCALE), vj.standard_normal(2))


def _exact(q, p) -> float:
    """In float64."""
    if isinstance(q, vj.Bernoulli | vj.Categorical):
        logs = [np.asarray(d.logits, np.float64) for d in (q, p)]
        if isinstance(q, vj.Bernoulli):
            logs = [np.stack([logit, 0.0 * logit], axis=-1) for logit in logs]
        a, b = (logit - scipy.special.logsumexp(logit, axis=-1, keepdims=True) for logit in logs)
        return float(np.sum(np.exp(a) * (a - b)))
    (mean, tril), (other_mean, other) = (
        (
            np.asarray(d.mean, np.float64),
            np.asarray(d.tril if isinstance(d, vj.FullNormal) else np.diag(d.stddev), np.float64),
        )
        for d in (q, p)
    )
    whitened = np.linalg.solve(other, tril)
    offset = np.linalg.solve(other, mean - other_mean)
    diagonal = np.diag(whitened) ** 2
    return 0.5 * float(np.sum(offset**2) + np.sum(np.tril(whitened, -1) ** 2) + np.sum(diagonal - 1 - np.log(diagonal)))


def _pair(kind: str, seed: int):
    """A distribution as a function of a step away from another, which is at 0."""
    random = np.random.default_rng(seed)
    a, b, c, d = (jnp.asarray(random.normal(size=3), jnp.float32) for _ in range(4))
    tril = jnp.asarray(np.tril(random.normal(size=(3, 3)), -1), jnp.float32)
    return {
        "DiagNormal": lambda s: vj.DiagNormal(a + s * b, jnp.exp(c + s * d)),
        "FullNormal": lambda s: vj.FullNormal(a + s * b, tril + jnp.diag(jnp.exp(c + s * d))),
        "Bernoulli": lambda s: vj.Bernoulli(a + s * b),
        "Categorical": lambda s: vj.Categorical(jnp.stack([a + s * b, c + s * d])),
    }[kind]


@pytest.mark.parametrize("step", [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("kind", ["DiagNormal", "FullNormal", "Bernoulli", "Categorical"])
def test_small_divergences_keep_their_digits_and_none_is_negative(kind: str, step: float) -> None:
    for seed in range(20):
        make = _pair(kind, seed)
        value, slope = jax.value_and_grad(lambda s, make=make: vj.kl(make(s), make(0.0)))(jnp.float32(step))
        found, exact = float(value), _exact(make(step), make(0.0))
        assert found >= 0.0
        # Of the differences of float32's numbers.
        assert abs(found - exact) <= 1e-5 * exact + 1e-6 * np.sqrt(exact) + 1e-12
        assert np.isfinite(slope)


def test_choices_that_are_masked_have_a_divergence_with_a_gradient() -> None:
    masked, free = jnp.array([[0.0, -jnp.inf, 1.0], [0.5, 0.2, -0.3]]), jnp.array([[0.1, 0.4, 0.0], [0.0, 0.0, 0.0]])
    share = scipy.special.softmax([0.0, 1.0])
    expected = np.sum(share * (np.log(share) - scipy.special.log_softmax([0.1, 0.4, 0.0])[[0, 2]]))
    for family in (vj.Categorical, vj.OneHotCategorical):
        np.testing.assert_allclose(kl_terms(family(masked), family(free))[0], expected, rtol=1e-6)
        assert vj.kl(family(masked), family(masked)) == 0.0
        assert vj.kl(family(free), family(masked)) == jnp.inf
        for p in (free, masked):
            slopes = jax.grad(lambda q, p, of=family: vj.kl(of(q), of(p)), argnums=(0, 1))(masked, p)
            assert np.isfinite(slopes).all()
            # With fewer choices it is the same function of the others.
            few = jax.grad(lambda q, p: vj.kl(vj.Categorical(q), vj.Categorical(p)))(masked[0, ::2], p[0, ::2])
            np.testing.assert_allclose(slopes[0][0], [few[0], 0.0, few[1]], atol=1e-6)
    never = jnp.array([-jnp.inf, jnp.inf])
    np.testing.assert_allclose(kl_terms(vj.Bernoulli(never), vj.Bernoulli(jnp.zeros(2))), np.log(2.0), rtol=1e-6)


def test_the_advice_for_a_batch_of_posteriors_works() -> None:
    q, p = vj.DiagNormal(jnp.zeros((5, 2)), jnp.ones((5, 2))), vj.standard_normal(2)
    with pytest.raises(ValueError, match=r"jax\.vmap\(kl, \(0, None\)\)\(q, p\)"):
        vj.kl(q, p)
    np.testing.assert_array_equal(jax.vmap(vj.kl, (0, None))(q, p), np.zeros(5))
