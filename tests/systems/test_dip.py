import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.runs import changed
from tests.systems.disentangling import BASE, BATCH, DIGITS, assert_is_the_vae
from vae_jax.config import Codes
from vae_jax.core.errors import ConfigError
from vae_jax.systems import dip
from vae_jax.systems.parts.coded import coded
from vae_jax.systems.registry import validate


def test_without_weights_it_is_the_vae() -> None:
    codes = Codes(off_diagonal_weight=0.0, diagonal_weight=0.0)
    assert_is_the_vae(dip.build(dataclasses.replace(BASE, system="dip", codes=codes), DIGITS))


def test_covariances_and_their_penalty() -> None:
    random = np.random.default_rng(0)
    means, scales = random.standard_normal((40, 3)), np.exp(0.3 * random.standard_normal((40, 3)))
    posteriors = vj.DiagNormal(jnp.asarray(means), jnp.asarray(scales))
    expected = np.cov(means.T, ddof=0)
    np.testing.assert_allclose(dip.covariance_of_means(posteriors), expected, atol=1e-5)
    codes = means[:, None] + scales[:, None] * random.standard_normal((40, 20_000, 3))
    drawn = np.cov(codes.reshape(-1, 3).T, ddof=0)
    np.testing.assert_allclose(dip.covariance_of_codes(posteriors), drawn, atol=0.02)
    matrix = jnp.array([[2.0, 0.5], [0.5, 0.0]])
    # 2 · 0.25 off the diagonal, 1 + 1 on it.
    assert float(dip.identity_penalty(matrix, off_diagonal=10.0, diagonal=3.0)) == pytest.approx(11.0)
    assert float(dip.identity_penalty(jnp.eye(3), off_diagonal=10.0, diagonal=3.0)) == 0.0


@pytest.mark.parametrize("kind", ["means", "codes"])
def test_an_isotropic_posterior_has_a_covariance_too(kind: Any) -> None:
    config = changed(dataclasses.replace(BASE, system="dip", codes=Codes(covariance_of=kind)), "model")
    system = dip.build(changed(config, "model", posterior="isotropic"), DIGITS)
    params = system.init(jax.random.key(0), BATCH)
    found = coded(system.vae, params, jax.random.key(1), BATCH["x"])
    loc, scale = np.asarray(found.posterior.loc), np.ravel(found.posterior.scale)
    expected = np.cov(loc.T, bias=True) + (kind == "codes") * np.mean(scale**2) * np.eye(loc.shape[1])
    of = {"means": dip.covariance_of_means, "codes": dip.covariance_of_codes}[kind]
    np.testing.assert_allclose(of(found.posterior), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["means", "codes"])
def test_dip_adds_its_penalty(kind: Any) -> None:
    system = dip.build(dataclasses.replace(BASE, system="dip", codes=Codes(covariance_of=kind)), DIGITS)
    params = system.init(jax.random.key(1), BATCH)
    value, metrics = system.loss(params, jax.random.key(2), BATCH, jnp.int32(0))
    assert isinstance(system.vae, vj.VAE)
    posteriors = jax.vmap(lambda x: system.vae.encode(params, x))(BATCH["x"])
    of = {"means": dip.covariance_of_means, "codes": dip.covariance_of_codes}[kind]
    penalty = dip.identity_penalty(of(posteriors), off_diagonal=10.0, diagonal=100.0)
    np.testing.assert_allclose(value, -metrics["bound"] + penalty, rtol=1e-5)


def test_a_batch_of_one_is_refused() -> None:
    config = dataclasses.replace(changed(BASE, "train", batch_size=1), system="dip")
    with pytest.raises(ConfigError, match="--system dip compares the codes of a batch: use --batch-size 2 or more"):
        validate(config)


def test_posteriors_that_do_not_factorise_are_refused() -> None:
    config = dataclasses.replace(changed(BASE, "model", posterior="full"), system="dip")
    with pytest.raises(ConfigError, match="use --posterior diagonal, not full"):
        validate(config)
