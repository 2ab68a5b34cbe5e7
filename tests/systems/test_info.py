import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Codes, Data, Experiment, Model, Objective
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.objectives.discrepancy import imq, rbf
from vae_jax.systems import info, vae
from vae_jax.systems.parts.coded import coded
from vae_jax.systems.registry import validate

DIGITS = load("digits", binarisation="dynamic")
BASE = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3))
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(16)).batch())
# Any divergence at all, even one that is none.
DIVERGENCES = {
    "mmd_rbf": partial(vj.mmd, kernel=rbf),
    "mmd_imq": partial(vj.mmd, kernel=imq),
    "wild": lambda a, b: 100.0 * jnp.sum(a) - jnp.sum(b),
}


def gradient(loss: Any, params: Any) -> tuple[Any, Any]:
    (value, _), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(params, jax.random.key(2), BATCH, 0)
    return value, slope


@pytest.mark.parametrize("name", DIVERGENCES)
@pytest.mark.parametrize(("alpha", "scale", "beta"), [(0.0, 1.0, 1.0), (-2.0, 3.0, 3.0), (0.5, 0.5, 0.5)])
def test_special_cases_are_the_beta_vae_for_every_divergence(
    name: str, alpha: float, scale: float, beta: float
) -> None:
    system = vae.build(dataclasses.replace(BASE, objective=Objective(beta=beta)), DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    assert isinstance(system.vae, vj.VAE)
    both = [
        gradient(system.loss, params),
        gradient(info.info_loss(system.vae, alpha=alpha, scale=scale, divergence=DIVERGENCES[name]), params),
    ]
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), both[0][1], both[1][1])


def test_the_divergence_is_of_the_very_codes_that_are_decoded() -> None:
    system = vae.build(BASE, DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    assert isinstance(system.vae, vj.VAE)
    key = jax.random.key(2)
    codes = coded(system.vae, params, key, BATCH["x"]).codes
    keys = jax.random.split(key, 16)
    likelihoods = jax.vmap(lambda z, x: system.vae.decode(params, z).log_prob(x))(codes, BATCH["x"])
    terms = jax.vmap(lambda key, x: vj.elbo_terms(system.vae, params, key, x))(keys, BATCH["x"])
    np.testing.assert_allclose(terms.log_likelihood, likelihoods, rtol=1e-5)
    seen = []
    spy = lambda a, b: (seen.append((a, b)), jnp.zeros(()))[1]
    info.info_loss(system.vae, alpha=0.0, scale=5.0, divergence=spy)(params, key, BATCH, jnp.int32(0))
    np.testing.assert_allclose(seen[0][0], codes, rtol=1e-6)
    assert seen[0][1].shape == (16, 3)


def test_wae_is_info_with_a_point() -> None:
    config = dataclasses.replace(
        changed(BASE, "model", posterior="point"), system="info", codes=Codes(info_alpha=1.0, info_lambda=7.0)
    )
    system = info.build(config, DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    loss, metrics = system.loss(params, jax.random.key(2), BATCH, jnp.int32(0))
    np.testing.assert_allclose(loss, metrics["distance"] + 7.0 * metrics["divergence"], rtol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            dataclasses.replace(BASE, codes=Codes(info_lambda=0.5)),
            "must be at least 0, got -0.5 from α = 0 and λ = 0.5",
        ),
        (dataclasses.replace(BASE, codes=Codes(info_lambda=float("nan"))), "must be at least 0, got nan"),
        (changed(BASE, "model", posterior="point"), "no KL to be weighed with 1 - α: use --info-alpha 1"),
    ],
)
def test_what_has_no_meaning_is_refused(config: Experiment, message: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=message):
        info.build(validate(dataclasses.replace(config, system="info")), DIGITS)


def test_a_batch_of_one_is_refused() -> None:
    config = dataclasses.replace(changed(BASE, "train", batch_size=1), system="info")
    with pytest.raises(ConfigError, match="--system info compares the codes of a batch: use --batch-size 2 or more"):
        validate(config)
