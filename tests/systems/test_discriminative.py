"""Discriminative regularisation: what the loss is made of, and whom each part moves."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.runs import changed
from vae_jax.config import Data, Experiment, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data import load
from vae_jax.distributions import sample_and_log_prob
from vae_jax.systems import discriminative
from vae_jax.systems.registry import validate

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment("a test", Data("digits"), Model(hidden=(16,), latent_size=2), system="discriminative")
CONFIG = changed(CONFIG, "codes", critic_hidden=(12, 6), critic_weight=0.3)
SYSTEM = discriminative.build(CONFIG, DIGITS)
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(32)).batch())
PARAMS = jax.jit(SYSTEM.init)(jax.random.key(1), BATCH)
LOSS = jax.jit(lambda params, batch: SYSTEM.loss(params, jax.random.key(2), batch, jnp.int32(0)))


def slope(of: Any) -> Any:
    found = jax.jit(jax.grad(lambda p: of(*SYSTEM.loss(p, jax.random.key(2), BATCH, jnp.int32(0)))))
    return found(PARAMS)


def moves(part: Any) -> bool:
    return any(np.any(leaf) for leaf in jax.tree.leaves(part))


def test_the_loss_is_its_three_parts_and_its_bound_the_elbo() -> None:
    loss, metrics = LOSS(PARAMS, BATCH)
    expected = metrics["classifier"] - metrics["bound"] - 0.3 * metrics["likeness"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    keys = jax.random.split(jax.random.key(2), 32)
    one = lambda key, x: sample_and_log_prob(SYSTEM.vae.encode(PARAMS, x), key)
    z, log_q = jax.jit(jax.vmap(one))(keys, BATCH["x"])
    joint = jax.vmap(lambda z, x: SYSTEM.vae.prior(PARAMS).log_prob(z) + SYSTEM.vae.decode(PARAMS, z).log_prob(x))
    np.testing.assert_allclose(metrics["bound"], jnp.mean(joint(z, BATCH["x"]) - log_q), rtol=1e-5)


def test_the_layers_are_compared_at_the_mean_of_what_is_decoded() -> None:
    """By hand: the log-density of the layers of x around those of E[x | z], with a learned scale for each layer."""
    weights = [PARAMS["classifier"][f"Dense_{i}"] for i in range(2)]

    def layers(x):
        x, found = jnp.ravel(x), []
        for dense in weights:
            x = jnp.maximum(x @ dense["kernel"] + dense["bias"], 0.0)
            found.append(x)
        return found

    keys, total = jax.random.split(jax.random.key(2), 32), 0.0
    for key, x in zip(keys, BATCH["x"], strict=True):
        mean = SYSTEM.vae.decode(PARAMS, SYSTEM.vae.encode(PARAMS, x).sample(key)).mean
        for a, b in zip(layers(x), layers(mean), strict=True):
            total += -0.5 * jnp.sum((a - b) ** 2) - 0.5 * len(a) * np.log(2 * np.pi)
    np.testing.assert_allclose(LOSS(PARAMS, BATCH)[1]["likeness"], total / 32, rtol=1e-4)


def test_each_side_follows_its_own_part() -> None:
    likeness = slope(lambda loss, metrics: metrics["likeness"])
    assert moves(likeness["encoder"])
    assert moves(likeness["decoder"])
    assert moves(likeness["log_scales"])
    assert not moves(likeness["classifier"])
    told = slope(lambda loss, metrics: metrics["classifier"])
    assert moves(told["classifier"])
    assert not any(moves(told[name]) for name in ("encoder", "decoder", "log_scales"))


def test_examples_without_a_label_teach_the_classifier_nothing() -> None:
    label = np.asarray(BATCH["label"])
    half = {**BATCH, "label": jnp.where(jnp.arange(32) < 16, label, -1)}
    none = {name: array for name, array in BATCH.items() if name != "label"}
    whole, some, without = (LOSS(PARAMS, batch)[1] for batch in (BATCH, half, none))
    assert 0.0 < some["classifier"] < whole["classifier"]
    assert without["classifier"] == 0.0
    np.testing.assert_allclose(without["bound"], whole["bound"], rtol=1e-6)


def test_the_classifier_learns_beside_the_model() -> None:
    tx = SYSTEM.optimizer(optax.adam(3e-3))

    @jax.jit
    def train(params):
        def step(carry, number):
            params, state = carry
            key = jax.random.fold_in(jax.random.key(3), number)
            slope = jax.grad(lambda p: SYSTEM.loss(p, key, BATCH, number)[0])(params)
            updates, state = tx.update(slope, state, params)
            return (jax.tree.map(jnp.add, params, updates), state), None

        return jax.lax.scan(step, (params, tx.init(params)), jnp.arange(200))[0][0]

    before, after = LOSS(PARAMS, BATCH)[1], LOSS(trained := train(PARAMS), BATCH)[1]
    assert after["classifier"] < 0.5 * before["classifier"]
    assert after["bound"] > before["bound"] + 1.0
    logits = jax.vmap(lambda x: SYSTEM.classify(trained, x))(BATCH["x"])
    assert np.mean(np.argmax(logits, axis=1) == BATCH["label"]) > 0.6


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"posterior": "point"}, "a point has no density, so no bound"),
        ({"autoregressive_layers": 2}, "have no mean that a classifier could see"),
        ({"likelihood": "poisson"}, "--system discriminative is for images"),
        ({"upper_latent_sizes": (2,)}, "has one layer of codes"),
    ],
)
def test_what_a_classifier_cannot_see_is_refused(fields: dict[str, Any], reason: str) -> None:
    config = changed(CONFIG, "model", **fields)
    if "likelihood" in fields:
        config = changed(config, "data", binarisation="none")
    with pytest.raises(ConfigError, match=reason):
        validate(config)


def test_data_without_labels_are_refused() -> None:
    split = DIGITS.train._replace(label=None)
    with pytest.raises(ValueError, match="this system learns from labels, but digits has none"):
        discriminative.build(CONFIG, dataclasses.replace(DIGITS, train=split))
