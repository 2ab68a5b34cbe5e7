"""The systems that disentangle: each is the VAE where its weights say nothing, and its term is what it says it is."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Codes, Data, Experiment, Model, Objective
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.objectives.aggregate import stratified_log_weights, weighted_log_weights
from vae_jax.systems import dip, factor, tc, vae
from vae_jax.systems.parts.coded import coded
from vae_jax.systems.parts.critic import make_critic
from vae_jax.systems.registry import validate

DIGITS = load("digits", binarisation="dynamic")
BASE = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=3))
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(16)).batch())
PLAIN = vae.build(BASE, DIGITS)
CRITIC = make_critic((8,))
SYSTEMS = {
    "tc, weighted": tc.build(dataclasses.replace(BASE, system="tc"), DIGITS),
    "tc, stratified": tc.build(dataclasses.replace(BASE, system="tc", codes=Codes(minibatch="stratified")), DIGITS),
    "factor": factor.build(dataclasses.replace(BASE, system="factor", codes=Codes(critic_weight=0.0)), DIGITS),
    "dip": dip.build(
        dataclasses.replace(BASE, system="dip", codes=Codes(off_diagonal_weight=0.0, diagonal_weight=0.0)), DIGITS
    ),
}


def gradient(loss: Any, params: Any) -> Any:
    return jax.jit(jax.grad(lambda p: loss(p, jax.random.key(2), BATCH, 0)[0]))(params)


@pytest.mark.parametrize("name", SYSTEMS)
def test_with_weights_that_say_nothing_it_is_the_vae(name: str) -> None:
    params = SYSTEMS[name].init(jax.random.key(1), BATCH)
    plain, found = gradient(PLAIN.loss, params), gradient(SYSTEMS[name].loss, params)
    for part in ("encoder", "decoder"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), plain[part], found[part])
    metrics = [system.loss(params, jax.random.key(2), BATCH, jnp.int32(0))[1] for system in (PLAIN, SYSTEMS[name])]
    for field in ("bound", "kl", "log_likelihood"):
        np.testing.assert_allclose(metrics[0][field], metrics[1][field], rtol=1e-5)


@pytest.mark.parametrize("scheme", [weighted_log_weights, stratified_log_weights])
def test_the_parts_are_a_draw_of_the_rate(scheme: Any) -> None:
    params = PLAIN.init(jax.random.key(1), BATCH)
    assert isinstance(PLAIN.vae, vj.VAE)
    loss = tc.tc_loss(PLAIN.vae, dataset_size=1000, index=2.0, total_correlation=7.0, log_weights=scheme)
    value, metrics = loss(params, jax.random.key(2), BATCH, jnp.int32(0))
    drawn = jax.vmap(lambda key, x: vj.sampled_terms(PLAIN.vae, params, key, x))(
        jax.random.split(jax.random.key(2), 16), BATCH["x"]
    )
    parts = [metrics[name] for name in ("index_code", "total_correlation", "dimension_wise")]
    np.testing.assert_allclose(sum(parts), jnp.mean(drawn.kl), rtol=1e-4)
    expected = -metrics["bound"] + parts[0] + 6.0 * parts[1]
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_shuffling_keeps_every_column() -> None:
    codes = jax.random.normal(jax.random.key(0), (50, 3))
    found = factor.shuffled(jax.random.key(1), codes)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(codes, axis=0))
    assert not np.array_equal(found[:, 0].argsort(), codes[:, 0].argsort())
    orders = [[int(np.flatnonzero(codes[:, j] == value)[0]) for value in found[:, j]] for j in range(3)]
    assert orders[0] != orders[1] != orders[2]


def test_a_critic_that_has_learned_measures_total_correlation() -> None:
    rho, size = 0.8, 500
    network = CRITIC.network
    params = {"critic": network.init(jax.random.key(0), jnp.zeros(2))["params"]}
    tx = optax.adam(1e-2)

    def draw(key: Any) -> Any:
        a, b = jax.random.normal(key, (2, size))
        return jnp.stack([a, rho * a + math.sqrt(1.0 - rho**2) * b], axis=1)

    def step(carry: Any, key: Any) -> Any:
        params, state = carry
        keys = jax.random.split(key)
        codes = draw(keys[0])
        slope = jax.grad(lambda p: CRITIC.loss(p, codes, factor.shuffled(keys[1], codes)))(params)
        updates, state = tx.update(slope, state, params)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(jax.random.key(1), 1500)
    params = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), keys)[0][0])(params)
    found = float(jnp.mean(CRITIC.opinion(params, draw(jax.random.key(2)))))
    assert found == pytest.approx(-0.5 * math.log(1.0 - rho**2), abs=0.12)


def test_the_model_does_not_move_the_critic_nor_the_critic_the_model() -> None:
    system = factor.build(dataclasses.replace(BASE, system="factor", codes=Codes(critic_weight=5.0)), DIGITS)
    params = system.init(jax.random.key(1), BATCH)

    def slope(of: Any) -> Any:
        return jax.grad(lambda p: of(system.loss(p, jax.random.key(2), BATCH, jnp.int32(0))))(params)

    whole = slope(lambda found: found[0])
    models = slope(lambda found: -found[1]["bound"] + 5.0 * found[1]["total_correlation"])
    critics = slope(lambda found: found[1]["critic"])
    for part in ("encoder", "decoder"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), whole[part], models[part])
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(critics[part]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(models["critic"]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), whole["critic"], critics["critic"])


def test_a_critic_sees_choices_as_one_row() -> None:
    config = changed(dataclasses.replace(BASE, system="factor"), "model", posterior="concrete", classes=4)
    system = factor.build(config, DIGITS)
    params = system.init(jax.random.key(0), BATCH)
    loss, metrics = system.loss(params, jax.random.key(1), BATCH, jnp.int32(0))
    assert np.isfinite(loss)
    assert coded(system.vae, params, jax.random.key(1), BATCH["x"]).codes.shape == (16, 3 * 4)
    assert metrics["critic"] > 0.0


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


@pytest.mark.parametrize("system", ["tc", "factor", "dip", "info"])
def test_a_batch_of_one_is_refused(system: str) -> None:
    config = dataclasses.replace(changed(BASE, "train", batch_size=1), system=system)
    with pytest.raises(
        ConfigError, match=f"--system {system} compares the codes of a batch: use --batch-size 2 or more"
    ):
        validate(config)


@pytest.mark.parametrize("system", ["tc", "dip"])
def test_posteriors_that_do_not_factorise_are_refused(system: str) -> None:
    config = dataclasses.replace(changed(BASE, "model", posterior="full"), system=system)
    with pytest.raises(ConfigError, match="use --posterior diagonal, not full"):
        validate(config)


def test_weights_that_have_no_meaning_are_refused() -> None:
    for wrong in ({"index_weight": -1.0}, {"dimension_weight": float("nan")}):
        with pytest.raises(ConfigError, match="must be at least 0"):
            validate(dataclasses.replace(BASE, system="tc", codes=Codes(**wrong)))
    with pytest.raises(ConfigError, match="--minibatch stratified has no effect with --system vae"):
        validate(dataclasses.replace(BASE, codes=Codes(minibatch="stratified")))
    with pytest.raises(ConfigError, match="--capacity 5.0 has no effect with --system tc"):
        validate(dataclasses.replace(BASE, system="tc", objective=Objective(capacity=5.0)))
