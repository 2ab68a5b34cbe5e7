import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Codes, Data, Experiment, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.data.units import units_of
from vae_jax.objectives.terms import elbo_terms
from vae_jax.systems import autoencoder
from vae_jax.systems.parts.rate import terms_loss
from vae_jax.systems.registry import validate
from vae_jax.systems.system import System
from vae_jax.train import fit

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment(
    "a test", Data("digits"), Model(hidden=(16,), latent_size=3, posterior="point"), system="autoencoder"
)


def assembled(**codes: Any) -> tuple[System, Any, Any]:
    config = dataclasses.replace(CONFIG, codes=Codes(**codes))
    if codes.get("penalty") == "kl_sparsity":
        config = changed(config, "model", posterior="unit_point")
    system = autoencoder.build(config, DIGITS)
    batch = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(32)).batch())
    return system, system.init(jax.random.key(1), batch), batch


def without_kl(vae: vj.VAE) -> Any:
    return terms_loss(vae, elbo_terms, lambda params, kl, distortion, step: jnp.mean(distortion), num_samples=1)


def test_it_is_the_vae_without_kl_and_with_a_point_for_a_posterior() -> None:
    system, params, batch = assembled()
    coder = system.vae
    assert isinstance(coder, vj.Autoencoder)
    # A normal so narrow that its draws are its mean.
    vae = vj.VAE(
        encode=lambda p, x: vj.DiagNormal(coder.encode(p, x).mean, jnp.full(3, 1e-20)),
        decode=coder.decode,
        prior=lambda p: vj.standard_normal(3),
    )
    both = [
        jax.jit(jax.value_and_grad(loss, has_aux=True))(params, jax.random.key(2), batch, 0)
        for loss in (system.loss, without_kl(vae))
    ]
    np.testing.assert_allclose(both[0][0][0], both[1][0][0], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), both[0][1], both[1][1])


def test_a_stochastic_encoder_makes_it_the_vae_without_kl_to_the_draw() -> None:
    system = autoencoder.build(changed(CONFIG, "model", posterior="diagonal"), DIGITS)
    _, _, batch = assembled()
    params = system.init(jax.random.key(1), batch)
    coder = system.vae
    assert coder is not None
    vae = vj.VAE(coder.encode, coder.decode, lambda p: vj.standard_normal(3))
    found = [loss(params, jax.random.key(2), batch, jnp.int32(0))[0] for loss in (system.loss, without_kl(vae))]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


@pytest.mark.parametrize("penalty", ["l1", "kl_sparsity", "contractive"])
def test_a_penalty_is_added_with_its_weight_and_lowers_what_it_is_of(penalty: str) -> None:
    system, params, batch = assembled(penalty=penalty, penalty_weight=10.0)
    loss, metrics = system.loss(params, jax.random.key(0), batch, jnp.int32(0))
    np.testing.assert_allclose(loss, metrics["distance"] + metrics["penalty"], rtol=1e-5)
    tx = optax.adam(1e-2)

    def step(carry: Any, key: Any) -> Any:
        params, state = carry
        (_, metrics), slope = jax.value_and_grad(system.loss, has_aux=True)(params, key, batch, 0)
        updates, state = tx.update(slope, state)
        return (optax.apply_updates(params, updates), state), metrics["penalty"]

    _, found = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), jax.random.split(jax.random.key(3), 60)))(params)
    assert found[-1] < 0.5 * found[0]


def test_a_denoising_autoencoder_is_compared_with_the_clean_example() -> None:
    system, params, batch = assembled(corruption="masking", corruption_level=1.0)
    coder = system.vae
    assert coder is not None
    blank = coder.decode(params, coder.encode(params, jnp.zeros((8, 8, 1))).mean)
    expected = -jnp.mean(jax.vmap(blank.log_prob)(batch["x"]))
    np.testing.assert_allclose(system.loss(params, jax.random.key(0), batch, 0)[0], expected, rtol=1e-5)


def test_a_slope_is_taken_in_the_units_of_the_columns() -> None:
    """Of the same table in other units the penalty is the same."""
    x = np.random.default_rng(0).normal(size=(40, 3))
    config = changed(CONFIG, "model", hidden=(8,), likelihood="normal")
    config = changed(config, "codes", penalty="contractive", penalty_weight=1.0)
    found = []
    for scale in ([1.0, 1.0, 1.0], [2e4, 1.0, 0.1]):
        rows = np.asarray(5.0 + x * scale, np.float32)
        table = load("curve")
        table = dataclasses.replace(table, train=table.train._replace(x=rows, label=None), units=units_of(rows))
        system = autoencoder.build(config, table)
        params = system.init(jax.random.key(1), {"x": jnp.asarray(rows)})
        found.append(system.loss(params, jax.random.key(2), {"x": jnp.asarray(rows)}, 0)[1]["penalty"])
    assert found[0] > 1e-3
    np.testing.assert_allclose(found[1], found[0], rtol=1e-4)


def test_the_linear_autoencoder_spans_the_subspace_of_pca() -> None:
    random = np.random.default_rng(0)
    x = (random.normal(size=(400, 3)) * [3.0, 2.0, 0.3]) @ random.normal(size=(3, 6)) / 3 + 0.1 * random.normal(
        size=(400, 6)
    )
    x = jnp.asarray(x + 1.0, jnp.float32)
    # No hidden layer, a normal of fixed width: half the squared error, but for a constant.
    plain = dataclasses.replace(load("curve"), train=load("curve").train._replace(x=np.asarray(x), label=None))
    config = changed(CONFIG, "model", hidden=(), latent_size=2, likelihood="normal", likelihood_scale="fixed")
    system = autoencoder.build(changed(config, "model", initial_scale=1.0), plain)
    schedule = optax.cosine_decay_schedule(2e-2, 5000)
    state = jax.jit(
        lambda key: fit(system, optax.adam(schedule), lambda key, b: b, {"x": x}, key, batch_size=400, num_steps=5000)
    )(jax.random.key(0))
    coder = system.vae
    assert coder is not None
    shown = jax.vmap(lambda x: coder.decode(state.params, coder.encode(state.params, x).mean).mean)(x)
    pca = PCA(2).fit(x)
    best = pca.inverse_transform(pca.transform(x))
    # The axes within the subspace are free.
    spanned = jax.jacobian(lambda z: coder.decode(state.params, z).mean)(jnp.zeros(2))
    assert subspace_angles(np.asarray(spanned), pca.components_.T).max() < 0.02
    np.testing.assert_allclose(shown, best, atol=0.02 * float(jnp.abs(x).max()))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ({"penalty": "l1"}, "no effect with --penalty-weight 0"),
        ({"penalty_weight": 1.0}, "needs a --penalty"),
    ],
)
def test_bad_penalties_are_refused(codes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(dataclasses.replace(CONFIG, codes=Codes(**codes)))


def test_kl_sparsity_needs_activations_and_a_batch() -> None:
    config = dataclasses.replace(CONFIG, codes=Codes(penalty="kl_sparsity", penalty_weight=1.0))
    with pytest.raises(ConfigError, match="--posterior unit_point"):
        validate(config)
    config = changed(changed(config, "model", posterior="unit_point"), "train", batch_size=1)
    with pytest.raises(ConfigError, match="--batch-size 2 or more"):
        validate(config)
