from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as nd
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.families import DISTRIBUTIONS, Family
from vae_jax.bijections.coupling import AffineCoupling
from vae_jax.distributions import Distribution, sample_and_log_prob, sample_and_path_log_prob
from vae_jax.distributions.distribution import moves
from vae_jax.distributions.divergences import has_closed_form
from vae_jax.flows import Reverse

KEY = jax.random.key(0)
rows = pytest.mark.parametrize("family", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)


@rows
def test_shapes(family: Family) -> None:
    d = family.value
    assert isinstance(d, Distribution)
    # Of shapes alone: nothing is compiled.
    one, many = (jax.eval_shape(lambda key, shape=shape: d.sample(key, shape), KEY) for shape in ((), (4, 5)))
    assert jax.tree.map(jnp.shape, one) == d.event_shape
    assert jax.tree.map(jnp.shape, many) == jax.tree.map(lambda leaf: (4, 5, *leaf.shape), one)
    assert jax.eval_shape(d.log_prob, one).shape == ()


@rows
def test_a_shape_is_a_tuple(family: Family) -> None:
    with pytest.raises(TypeError, match=r"shape must be a tuple of sizes, got 5. For five draws write \(5,\)"):
        family.value.sample(KEY, 5)


@rows
def test_it_says_whether_its_samples_carry_a_gradient(family: Family) -> None:
    # What has no parameters has none to carry.
    expected = family.reparameterised or not jax.tree.leaves(family.value)
    assert getattr(family.value, "reparameterised", True) == expected
    # Whose samples carry one, they move; a mixture's move too, but not with its weights.
    if expected:
        assert moves(family.value)


class Shifted:
    """Noise around `loc`, of another package: with or without what a posterior must be."""

    def __init__(self, loc):
        self.loc = loc

    def sample(self, key, shape=()):
        return self.loc + jax.random.normal(key, shape + self.loc.shape)

    def log_prob(self, value):
        return -0.5 * jnp.sum((value - self.loc) ** 2)


@jax.tree_util.register_pytree_node_class
class Registered(Shifted):
    def tree_flatten(self):
        return (self.loc,), None

    @classmethod
    def tree_unflatten(cls, data, children):
        return cls(*children)


@jax.tree_util.register_pytree_node_class
class Coins(Registered):
    def sample(self, key, shape=()):
        return (jax.random.uniform(key, shape + self.loc.shape) < jax.nn.sigmoid(self.loc)).astype(jnp.float32)


@jax.tree_util.register_pytree_node_class
class Counts(Registered):
    def sample(self, key, shape=()):
        return jax.random.categorical(key, self.loc, shape=(*shape, 2))


OF_ONES_OWN = {
    "registered": (Registered, None),
    "not registered": (Shifted, "the posterior Shifted is no pytree.*register_dataclass"),
    "choices as floats": (Coins, r"Coins carry no gradient.*score\(bound\)"),
    "choices as integers": (Counts, "Counts carry no gradient"),
    "numpyro's normal": (lambda loc: nd.Normal(loc, 1.0).to_event(1), None),
    "numpyro's coin": (lambda loc: nd.Bernoulli(logits=loc).to_event(1), "carry no gradient"),
    "a flow of choices": (lambda loc: vj.flow(Coins(loc), Reverse()), "Transformed carry no gradient"),
    "layers, one of choices": (
        lambda loc: vj.bottom_up(Registered(loc), Partial(lambda p, z: Coins(p), loc)),
        "Chain carry no gradient",
    ),
}


@pytest.mark.parametrize("estimator", [vj.total, vj.stl, vj.dreg])
@pytest.mark.parametrize("name", OF_ONES_OWN)
def test_a_posterior_of_ones_own_is_asked_whether_it_carries_a_gradient(name: str, estimator) -> None:
    make, refused = OF_ONES_OWN[name]
    prior = vj.standard_normal(2)
    vae = vj.VAE(
        lambda params, x: make(params),
        lambda params, z: vj.DiagNormal(jnp.sum(jax.tree.leaves(z)[0]) * jnp.ones(2), 1.0),
        lambda params: vj.bottom_up(prior, Partial(lambda p, z: p, prior)) if "layers" in name else prior,
    )

    def bound(params):
        return estimator(vj.iwae)(vae, params, KEY, jnp.ones(2), num_samples=3)

    loc = jnp.array([0.3, -0.2])
    if refused is None:
        # The exact path derivative of the same posterior, ours.
        ours = vae._replace(encode=lambda params, x: vj.DiagNormal(params, jnp.ones(2)))
        expected = jax.grad(lambda p: estimator(vj.iwae)(ours, p, KEY, jnp.ones(2), num_samples=3))(loc)
        np.testing.assert_allclose(jax.grad(bound)(loc), expected, rtol=1e-4)
    else:
        with pytest.raises(TypeError, match=refused):
            bound(loc)


@rows
def test_narrow_numbers_have_log_densities_of_float32(family: Family) -> None:
    def narrow(tree):
        return jax.tree.map(
            lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype in (jnp.float32, jnp.float64) else leaf, tree
        )

    value = jax.eval_shape(lambda key: narrow(family.value.sample(key)), KEY)
    # Under x64 what is written as a float may be one of 64 bits.
    found = jax.eval_shape(lambda d, v: narrow(d).log_prob(v), family.value, value).dtype
    assert found in (jnp.float32, jnp.float64)


HALF = jnp.linspace(-3.0, 6.0, 30).astype(jnp.bfloat16)
WIDTH, INSIDE = (0.1 + 0.02 * jnp.arange(30)).astype(jnp.bfloat16), jnp.linspace(0.01, 0.99, 30).astype(jnp.bfloat16)
BITS, CHOICES = (INSIDE > 0.4).astype(jnp.bfloat16), jnp.stack([HALF, 0.3 * HALF, -HALF], axis=-1)
NARROW = {
    "Bernoulli": (vj.Bernoulli(HALF), BITS),
    "Categorical": (vj.Categorical(CHOICES), jnp.arange(30) % 3),
    "OneHotCategorical": (vj.OneHotCategorical(CHOICES), jax.nn.one_hot(jnp.arange(30) % 3, 3, dtype=jnp.bfloat16)),
    "Concrete": (vj.Concrete(CHOICES, jnp.bfloat16(0.7)), jnp.stack([INSIDE, 0.5 - 0.5 * INSIDE] * 2, -1)[..., :3]),
    "RelaxedBernoulli": (vj.RelaxedBernoulli(HALF, jnp.bfloat16(0.7)), INSIDE),
    "ContinuousBernoulli": (vj.ContinuousBernoulli(HALF), INSIDE),
    "DiagNormal": (vj.DiagNormal(HALF, WIDTH), HALF + INSIDE),
    "FullNormal": (vj.FullNormal(HALF, jnp.diag(WIDTH) + 0.01 * jnp.tri(30, dtype=jnp.bfloat16)), HALF + INSIDE),
    "StudentT": (vj.StudentT(jnp.bfloat16(2.3), HALF, WIDTH), HALF + INSIDE),
    "Mixture": (vj.Mixture(HALF, vj.DiagNormal(CHOICES, jnp.full_like(CHOICES, 0.7))), CHOICES[0]),
}


@pytest.mark.parametrize("name", NARROW)
def test_no_digit_of_narrow_numbers_is_lost(name: str) -> None:
    def wide(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if leaf.dtype == jnp.bfloat16 else leaf, tree)

    d, value = NARROW[name]
    np.testing.assert_allclose(d.log_prob(value), wide(d).log_prob(wide(value)), rtol=1e-5)
    if has_closed_form(type(d), type(d)):
        near = jax.tree.map(lambda leaf: (1.125 * leaf).astype(leaf.dtype), d)
        np.testing.assert_allclose(vj.kl(d, near), vj.kl(wide(d), wide(near)), rtol=1e-5)


@rows
def test_a_batch_is_a_stacked_pytree(family: Family) -> None:
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf + 0.1]), family.value)
    keys = jax.random.split(jax.random.key(0), 2)
    sample, log_prob = jax.jit(lambda d, key: d.sample(key)), jax.jit(lambda d, v: d.log_prob(v))
    drawn = jax.jit(jax.vmap(sample))(batch, keys)
    found = jax.jit(jax.vmap(log_prob))(batch, drawn)
    for i in range(2):
        one = jax.tree.map(lambda leaf, i=i: leaf[i], batch)
        value = jax.tree.map(lambda leaf, i=i: leaf[i], drawn)
        chex.assert_trees_all_close(sample(one, keys[i]), value, rtol=1e-6)
        np.testing.assert_allclose(log_prob(one, value), found[i], rtol=1e-5)


@rows
def test_a_batch_of_values_is_refused(family: Family) -> None:
    values = jax.eval_shape(lambda key: family.value.sample(key, (7,)), KEY)
    with pytest.raises(ValueError, match=r"value must be one event of shape .*got \(7, .*jax.vmap\(d.log_prob\)"):
        jax.eval_shape(family.value.log_prob, values)


@rows
def test_the_key_must_be_typed(family: Family) -> None:
    with pytest.raises(TypeError, match=r"key must be a typed PRNG key, got 0. Make one with jax.random.key\(0\)"):
        family.value.sample(0)
    with pytest.raises(TypeError, match="got an array of uint32.*wrap_key_data"):
        family.value.sample(jax.random.PRNGKey(0))
    with pytest.raises(ValueError, match=r"single key, got keys of shape \(3,\).*vmap"):
        family.value.sample(jax.random.split(jax.random.key(0), 3))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (vj.DiagNormal(jnp.zeros(2), jnp.array([1.0, -0.5])), "scale must be greater than 0, got -0.5"),
        (vj.StudentT(jnp.array(0.0), jnp.zeros(2), jnp.array(1.0)), "df must be greater than 0, got 0.0"),
        (vj.DiscretisedLogistic(jnp.zeros(2), jnp.array(-1.0), 4), "scale must be greater than 0"),
        (vj.Concrete(jnp.zeros(2), jnp.array(0.0)), "temperature must be greater than 0"),
        (vj.RelaxedBernoulli(jnp.zeros(2), jnp.array(-1.0)), "temperature must be greater than 0"),
        (vj.VonMisesFisher(jnp.ones(2), jnp.array(float("nan"))), "concentration must be greater than 0, got nan"),
    ],
    ids=lambda case: type(case).__name__ if not isinstance(case, str) else "",
)
def test_parameters_that_are_not_positive_are_refused_where_they_are_known(wrong, name: str) -> None:
    for call in (lambda: wrong.sample(jax.random.key(0)), lambda: wrong.log_prob(jnp.zeros(2))):
        with pytest.raises(ValueError, match=name):
            call()
    # Under jit nothing is known of the values: no error while tracing.
    jax.jit(lambda d, key: d.sample(key)).lower(wrong, jax.random.key(0))


def test_a_distribution_of_numpyro_works_as_a_posterior() -> None:
    vae = vj.VAE(
        encode=lambda params, x: nd.Normal(params * x, jnp.full(2, 0.5)).to_event(1),
        decode=lambda params, z: vj.DiagNormal(z, jnp.array(1.0)),
        prior=lambda params: vj.standard_normal(2),
    )
    ours = vae._replace(encode=lambda params, x: vj.DiagNormal(params * x, jnp.full(2, 0.5)))
    key, x = jax.random.key(0), jnp.array([0.3, -0.2])
    for estimator in (vj.total, vj.stl, vj.dreg, vj.score):
        estimate = estimator(vj.iwae)
        found, expected = (
            jax.value_and_grad(lambda p, m=m, e=estimate: e(m, p, key, x, num_samples=4))(0.7) for m in (vae, ours)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_two_optional_methods_are_used_where_they_exist() -> None:
    class Flow:
        def sample_and_log_prob(self, key):
            return "z", "full"

        def sample_and_path_log_prob(self, key):
            return "z", "path"

    assert sample_and_log_prob(Flow(), jax.random.key(0)) == ("z", "full")
    assert sample_and_path_log_prob(Flow(), jax.random.key(0)) == ("z", "path")


def test_a_plain_function_in_a_distribution_has_no_path_derivative() -> None:
    def conditional(value):
        return vj.DiagNormal(0.7 * jnp.tril(jnp.ones((2, 2)), -1) @ value, jnp.full(2, 0.6))

    closed = vj.Autoregressive(conditional, (2,))
    with pytest.raises(TypeError, match=r"Autoregressive holds a plain function.*Give jax.tree_util.Partial"):
        sample_and_path_log_prob(closed, KEY)
    # The full gradient needs to hold nothing still.
    opened = vj.Autoregressive(Partial(lambda _, value: conditional(value), ()), (2,))
    np.testing.assert_array_equal(sample_and_log_prob(closed, KEY)[1], sample_and_log_prob(opened, KEY)[1])
    assert np.isfinite(sample_and_path_log_prob(opened, KEY)[1])


def test_functions_among_the_parts_of_a_distribution_are_let_be() -> None:
    flow = vj.flow(vj.standard_normal(4), AffineCoupling(lambda fixed: (0.5 * fixed, 0.1 * fixed)))
    chain = vj.bottom_up(flow, Partial(lambda scale, value: vj.DiagNormal(value[:2], scale), jnp.ones(2)))
    assert chain.reparameterised
    assert chain.event_shape == ((4,), (2,))
    assert moves(chain)
    # And of shapes alone, where there is no function.
    plain = vj.bottom_up(
        vj.standard_normal(4), Partial(lambda scale, value: vj.DiagNormal(value[:2], scale), jnp.ones(2))
    )
    shapes = jax.eval_shape(lambda: plain)
    assert (shapes.event_shape, shapes.reparameterised) == (((4,), (2,)), True)
