import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.members import DRAWS, X, mean_and_error
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


def exact() -> jax.Array:
    inner = WEIGHT @ WEIGHT.T + jnp.diag(jnp.square(PARAMS["down"]["scale"]))
    covariance = OBSERVED.weight @ inner @ OBSERVED.weight.T + jnp.square(OBSERVED.scale) * jnp.eye(3)
    return vj.FullNormal(OBSERVED.bias, jnp.linalg.cholesky(covariance)).log_prob(X)


def test_log_marginal_is_exact_and_iwae_rises_to_it() -> None:
    found = vj.log_marginal(MODEL, PARAMS, jax.random.key(0), X, num_samples=20_000)
    assert abs(found.value - exact()) < 4 * found.standard_error < 0.1
    keys = jax.random.split(jax.random.key(1), 2000)
    level = lambda k: jax.jit(jax.vmap(lambda key: vj.iwae(vj.log_weights(MODEL, PARAMS, key, X, num_samples=k))))(
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


@pytest.mark.parametrize("bound", [vj.elbo, vj.iwae])
def test_dreg_is_unbiased_through_every_layer(bound) -> None:
    def slopes(estimate):
        one = lambda key: jax.grad(lambda p: estimate(MODEL, p, key, X, num_samples=3))(PARAMS)
        return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), DRAWS))

    plain, found = slopes(vj.total(bound)), slopes(vj.dreg(bound))
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
