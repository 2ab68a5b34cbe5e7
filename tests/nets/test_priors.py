import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.nets import priors

X = np.random.default_rng(0).random((5, 4)).astype(np.float32)


def encode(x):
    return vj.DiagNormal(x[:3], jnp.full(3, 0.5))


ROWS = {
    "normal": priors.normal(3),
    "scaled": priors.scaled(3),
    "mixture": priors.mixture(3, 6),
    "vamp": priors.vamp(X),
    "autoregressive": priors.flow(3, 2, [8], "iaf"),
    "spline": priors.flow(3, 2, [8], "spline"),
    "sphere": priors.sphere(3),
    "choices": priors.choices(2, 3),
    "relaxed": priors.relaxed_choices(2, 3, 0.5),
}


@pytest.mark.parametrize("prior", ROWS.values(), ids=ROWS)
def test_a_prior_samples_what_it_gives_a_density_to(prior: priors.Prior) -> None:
    params = prior.init(jax.random.key(0))
    value = prior.value(params, encode)
    z = value.sample(jax.random.key(1))
    slope = jax.grad(lambda params: prior.value(params, encode).log_prob(z))(params)
    assert np.isfinite(value.log_prob(z))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_flows_start_as_the_standard_normal() -> None:
    for name in ("autoregressive", "spline"):
        value = ROWS[name].value(ROWS[name].init(jax.random.key(0)), encode)
        z = jnp.array([0.3, -1.0, 2.0])
        np.testing.assert_allclose(value.log_prob(z), vj.standard_normal(3).log_prob(z), rtol=1e-5)


def test_a_vamp_prior_is_the_posterior_mixed_over_its_pseudo_inputs() -> None:
    prior = ROWS["vamp"]
    params, z = prior.init(jax.random.key(0)), jnp.array([0.3, 0.1, 0.6])
    by_hand = jax.nn.logsumexp(jnp.stack([encode(x).log_prob(z) for x in X])) - jnp.log(5.0)
    np.testing.assert_allclose(prior.value(params, encode).log_prob(z), by_hand, rtol=1e-5)
    same = vj.vamp_prior(lambda p, x: encode(x), None, X)
    np.testing.assert_allclose(same.log_prob(z), by_hand, rtol=1e-5)
    # The pseudo-inputs learn through the encoder.
    slope = jax.grad(lambda p: prior.value(p, encode).log_prob(z))(params)
    assert jnp.abs(slope["pseudo_inputs"]).max() > 0


def test_pseudo_inputs_are_examples_and_repeat_where_there_are_too_few() -> None:
    found = priors.start_examples(X, 7, seed=0)
    assert found.shape == (7, 4)
    assert {tuple(row) for row in found} == {tuple(row) for row in X}
