import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.members import DRAWS, X, mean_and_error
from vae_jax.distributions.divergences import sample_and_layer_kls
from vae_jax.models.linear_gaussian import Decoder

WEIGHT = jnp.array([[0.9, -0.4], [0.3, 0.7]])


def down(params, z2):
    return vj.DiagNormal(params["weight"] @ z2, params["scale"])


def up(params, z1):
    return vj.DiagNormal(params["gain"] @ z1 + params["shift"], params["width"])


# p(z2) p(z1 | z2) p(x | z1): a linear-Gaussian model of two layers, so p(x) is known.
OBSERVED = Decoder(jnp.array([[1.0, -0.3], [0.4, 0.8], [-0.7, 0.5]]), jnp.array([0.2, -0.1, 0.4]), jnp.array(0.6))
PARAMS = {
    "down": {"weight": WEIGHT, "scale": jnp.array([0.5, 0.8])},
    "up": {
        "gain": jnp.array([[0.6, 0.2], [-0.2, 0.5]]),
        "shift": jnp.array([0.1, 0.0]),
        "width": jnp.array([0.8, 0.7]),
    },
    "encoder": {"gain": jnp.array([[0.5, 0.2, -0.3], [-0.1, 0.5, 0.3]]), "width": jnp.array([0.6, 0.7])},
}
MODEL = vj.VAE(
    encode=lambda p, x: vj.bottom_up(
        vj.DiagNormal(p["encoder"]["gain"] @ x, p["encoder"]["width"]), Partial(up, p["up"])
    ),
    decode=lambda p, z: vj.DiagNormal(OBSERVED.weight @ z[0] + OBSERVED.bias, OBSERVED.scale),
    prior=lambda p: vj.top_down(vj.standard_normal(2), Partial(down, p["down"])),
)


def along(params, state):
    """A layer along a path: its distribution, given the state, and x where it knows of it."""
    told = 0.0 if "x" not in params else params["gain"] @ params["x"]
    return vj.DiagNormal(params["weight"] @ state + told, params["scale"])


def add(weight, state, z):
    return state + weight @ z


# Three layers along one path, z3 above z2 above z1, and x given what all of them added up to.
STEPS = {f"step{i}": jax.random.normal(jax.random.key(i), (2, 2)) for i in (1, 2, 3)}
PATH_PARAMS = {
    "start": jnp.array([0.4, -0.2]),
    **STEPS,
    **{f"p{i}": {"weight": (0.2 * i) * WEIGHT, "scale": jnp.array([0.9, 0.3 * i])} for i in (1, 2, 3)},
    **{
        f"q{i}": {
            "weight": 0.1 * WEIGHT,
            "scale": jnp.array([0.7, 0.6]),
            "gain": jax.random.normal(jax.random.key(10 + i), (2, 3)) / 4,
        }
        for i in (1, 2, 3)
    },
}


def path(p, kind, **told):
    factors = [Partial(along, p[f"{kind}{i}"] | told) for i in (3, 2, 1)]
    return vj.top_down_path(p["start"], factors, [Partial(add, p[f"step{i}"]) for i in (3, 2, 1)])


PATH = vj.VAE(
    encode=lambda p, x: path(p, "q", x=x),
    decode=lambda p, z: vj.DiagNormal(OBSERVED.weight @ path(p, "p").end(z) + OBSERVED.bias, OBSERVED.scale),
    prior=lambda p: path(p, "p"),
)


def exact_path() -> jax.Array:
    """log p(x): x is an affine function of the noise of all layers, and of its own."""

    def x_of(noise):
        state = PATH_PARAMS["start"]
        for i in (3, 2, 1):
            layer = along(PATH_PARAMS[f"p{i}"], state)
            state = add(PATH_PARAMS[f"step{i}"], state, layer.loc + layer.scale * noise[2 * i - 2 : 2 * i])
        return OBSERVED.weight @ state + OBSERVED.bias + OBSERVED.scale * noise[6:]

    slope = jax.jacobian(x_of)(jnp.zeros(9))
    return vj.FullNormal(x_of(jnp.zeros(9)), jnp.linalg.cholesky(slope @ slope.T)).log_prob(X)


def exact() -> jax.Array:
    inner = WEIGHT @ WEIGHT.T + jnp.diag(jnp.square(PARAMS["down"]["scale"]))
    covariance = OBSERVED.weight @ inner @ OBSERVED.weight.T + jnp.square(OBSERVED.scale) * jnp.eye(3)
    return vj.FullNormal(OBSERVED.bias, jnp.linalg.cholesky(covariance)).log_prob(X)


@pytest.mark.parametrize(("model", "params", "exact"), [(MODEL, PARAMS, exact), (PATH, PATH_PARAMS, exact_path)])
def test_log_marginal_is_exact_and_iwae_rises_to_it(model, params, exact) -> None:
    found = vj.log_marginal(model, params, jax.random.key(0), X, num_samples=50_000)
    assert abs(found.value - exact()) < 4 * found.standard_error < 0.1
    keys = jax.random.split(jax.random.key(1), 2000)
    level = lambda k: jax.jit(jax.vmap(lambda key: vj.iwae(vj.log_weights(model, params, key, X, num_samples=k))))(
        keys
    ).mean()
    assert level(1) < level(10) < exact() + 0.05


def test_the_same_value_has_the_same_density_in_either_order() -> None:
    # p(z2) p(z1 | z2) written as a joint normal.
    value = (jnp.array([0.3, -0.8]), jnp.array([1.1, 0.4]))
    prior = MODEL.prior(PARAMS)
    cross = WEIGHT
    inner = WEIGHT @ WEIGHT.T + jnp.diag(jnp.square(PARAMS["down"]["scale"]))
    covariance = jnp.block([[inner, cross], [cross.T, jnp.eye(2)]])
    joint = vj.FullNormal(jnp.zeros(4), jnp.linalg.cholesky(covariance))
    np.testing.assert_allclose(prior.log_prob(value), joint.log_prob(jnp.concatenate(value)), rtol=1e-5)
    z1, z2 = prior.sample(jax.random.key(0), (DRAWS,))
    found = jnp.cov(jnp.concatenate([z1, z2], axis=1).T)
    np.testing.assert_allclose(found, covariance, atol=0.03)


@pytest.mark.parametrize(("model", "params"), [(MODEL, PARAMS), (PATH, PATH_PARAMS)])
@pytest.mark.parametrize(("estimator", "bound"), [(vj.dreg, vj.elbo), (vj.dreg, vj.iwae), (vj.stl, vj.elbo)])
def test_path_derivatives_are_unbiased_through_every_layer(estimator, bound, model, params) -> None:
    def slopes(estimate):
        one = lambda key: jax.grad(lambda p: estimate(model, p, key, X, num_samples=3))(params)
        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), DRAWS))

    plain, found = slopes(vj.total(bound)), slopes(estimator(bound))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(found), strict=True):
        mean, error = mean_and_error(b - a)
        assert float(jnp.max(jnp.abs(mean) / (error + 1e-6))) < 4


def test_a_closure_over_params_would_be_biased() -> None:
    """Why conditionals are Partials: what is closed over cannot be frozen, and the bias shows."""
    closed = MODEL._replace(
        encode=lambda p, x: vj.bottom_up(
            vj.DiagNormal(p["encoder"]["gain"] @ x, p["encoder"]["width"]), Partial(lambda z: up(p["up"], z))
        )
    )

    def slope(model, estimate):
        one = lambda key: jax.grad(lambda p: estimate(model, p, key, X, num_samples=3))(PARAMS)["up"]["width"]
        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), DRAWS))

    mean, error = mean_and_error(slope(closed, vj.dreg(vj.iwae)) - slope(MODEL, vj.total(vj.iwae)))
    assert float(jnp.max(jnp.abs(mean) / error)) > 10


def test_discrete_layers_are_refused_by_path_estimators() -> None:
    coin = Partial(lambda p, z: vj.Bernoulli(p * z), jnp.array(1.0))
    model = MODEL._replace(
        encode=lambda p, x: vj.bottom_up(vj.DiagNormal(x[:2], jnp.ones(2)), coin),
        prior=lambda p: vj.bottom_up(vj.standard_normal(2), coin),
    )
    for estimator in (vj.total, vj.dreg):
        with pytest.raises(TypeError, match="samples of the posterior Chain carry no gradient"):
            estimator(vj.elbo)(model, PARAMS, jax.random.key(0), X, num_samples=2)
    assert np.isfinite(vj.score(vj.elbo)(model, PARAMS, jax.random.key(0), X, num_samples=2))


def test_values_of_the_wrong_form_are_refused() -> None:
    with pytest.raises(ValueError, match="value must be a tuple of 2 layers, lowest first, got"):
        MODEL.prior(PARAMS).log_prob(jnp.zeros(2))


def test_each_layer_along_a_path_knows_all_those_above_it() -> None:
    prior = PATH.prior(PATH_PARAMS)
    z = prior.sample(jax.random.key(0))
    s3 = PATH_PARAMS["start"]
    s2 = s3 + PATH_PARAMS["step3"] @ z[2]
    s1 = s2 + PATH_PARAMS["step2"] @ z[1]
    by_hand = [along(PATH_PARAMS[f"p{i}"], state).log_prob(z[i - 1]) for i, state in ((1, s1), (2, s2), (3, s3))]
    np.testing.assert_allclose(prior.layer_log_probs(z), by_hand, rtol=1e-5)
    np.testing.assert_allclose(prior.log_prob(z), sum(by_hand), rtol=1e-5)
    np.testing.assert_allclose(prior.end(z), s1 + PATH_PARAMS["step1"] @ z[0], rtol=1e-5)
    value, log_probs = prior.sample_and_layer_log_probs(jax.random.key(1))
    np.testing.assert_allclose(log_probs, prior.layer_log_probs(value), rtol=1e-4)


def test_the_kl_of_each_layer_is_the_same_by_either_estimate() -> None:
    keys = jax.random.split(jax.random.key(3), DRAWS)
    closed = jax.jit(jax.vmap(lambda key: vj.elbo_terms(PATH, PATH_PARAMS, key, X)))(keys)
    drawn = jax.jit(jax.vmap(lambda key: vj.sampled_terms(PATH, PATH_PARAMS, key, X)))(keys)
    assert closed.kl.shape == drawn.kl.shape == (DRAWS, 3)
    mean, error = mean_and_error(closed.kl - drawn.kl)
    assert float(jnp.max(jnp.abs(mean) / error)) < 4
    # What has a closed form is not drawn, so it varies less: the highest layer's does not vary at all.
    assert (jnp.var(closed.kl, axis=0) < jnp.var(drawn.kl, axis=0)).all()
    assert float(jnp.std(closed.kl[:, 2])) < 1e-5
    mean, error = mean_and_error(closed.log_likelihood - closed.kl.sum(axis=1))
    assert mean - 4 * error < exact_path()


def test_layers_drawn_in_other_orders_have_no_closed_form() -> None:
    with pytest.raises(TypeError, match=r"no closed form for \(Chain, Chain\).*or sampled_terms"):
        vj.elbo_terms(MODEL, PARAMS, jax.random.key(0), X)
    with pytest.raises(TypeError, match=r"drawn in different orders.*total\(elbo\), or sampled_terms"):
        sample_and_layer_kls(MODEL.encode(PARAMS, X), MODEL.prior(PARAMS), jax.random.key(0))
    assert vj.sampled_terms(MODEL, PARAMS, jax.random.key(0), X).kl.shape == ()


@pytest.mark.parametrize(("model", "params"), [(MODEL, PARAMS), (PATH, PATH_PARAMS)])
def test_temperature_scales_what_is_drawn_in_each_layer(model, params) -> None:
    prior, key = model.prior(params), jax.random.key(0)
    layers = len(prior.factors)
    as_it_is, warm = prior.sample(key), prior.tempered(jnp.ones(layers)).sample(key)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), as_it_is, warm)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        prior.tempered(jnp.zeros(layers)).sample(key),
        prior.means,
    )
    # Only the lowest is cold: those drawn before it are the same, and it is at its mean given them.
    mixed = prior.tempered(jnp.ones(layers).at[0].set(0.0)).sample(key)
    np.testing.assert_allclose(mixed[1], as_it_is[1], rtol=1e-6)
    np.testing.assert_allclose(mixed[0], prior.layers(as_it_is)[0].mean, atol=1e-6)
    # At a half a draw is half as far from the mean, in the lowest layer and in the highest, which is drawn first.
    for place in (0, layers - 1):
        half = prior.tempered(jnp.ones(layers).at[place].set(0.5)).sample(key)
        mean = prior.layers(as_it_is)[place].mean
        np.testing.assert_allclose(half[place] - mean, 0.5 * (as_it_is[place] - mean), rtol=1e-5, atol=1e-6)


def test_only_normals_have_a_temperature() -> None:
    chain = vj.bottom_up(vj.standard_normal(2), Partial(lambda p, z: vj.Bernoulli(p * z), jnp.array(1.0)))
    with pytest.raises(TypeError, match=r"Chain.tempered: a layer must be a DiagNormal, got Bernoulli"):
        chain.tempered(jnp.ones(2)).sample(jax.random.key(0))


def test_a_path_needs_a_step_for_each_factor() -> None:
    with pytest.raises(ValueError, match="each factor needs a step, got 2 factors and 1 steps"):
        vj.top_down_path(jnp.zeros(2), [Partial(along, PATH_PARAMS["p1"])] * 2, [Partial(add, WEIGHT)])


@pytest.mark.parametrize("wrap", [functools.partial, lambda f, w: jax.jit(lambda z: f(w, z))], ids=["partial", "jit"])
def test_a_function_whose_parameters_are_not_seen_is_refused_however_it_is_wrapped(wrap) -> None:
    layer = wrap(lambda w, z: vj.DiagNormal(w * z, jnp.ones(1)), jnp.ones(1))
    for call in (
        lambda: vj.bottom_up(vj.standard_normal(1), layer),
        lambda: vj.top_down(vj.standard_normal(1), layer),
        lambda: vj.top_down_path(jnp.ones(1), [layer], [Partial(lambda state, value: state)]),
        lambda: vj.top_down_path(jnp.ones(1), [Partial(layer)], [layer]),
    ):
        with pytest.raises(TypeError, match="whose parameters are not seen. Give jax.tree_util.Partial"):
            call()


def test_the_shapes_of_layers_may_be_structured() -> None:
    below = Partial(lambda scale, value: vj.DiagNormal(value["a"], scale), jnp.ones(2))
    chain = vj.bottom_up(vj.Product({"a": vj.standard_normal(2)}), below)
    assert chain.event_shape == ({"a": (2,)}, (2,))
