from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import vae_jax as vj
from tests.runs import changed
from vae_jax.config import Data, Experiment, Model
from vae_jax.data import load
from vae_jax.systems import adversarial
from vae_jax.systems.autoencoder import autoencoder_loss

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment(
    "a test", Data("digits"), Model(hidden=(16,), latent_size=2, posterior="point"), system="adversarial"
)
SYSTEM = adversarial.build(changed(CONFIG, "codes", critic_hidden=(16,), critic_weight=3.0), DIGITS)
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(64)).batch())
PARAMS = SYSTEM.init(jax.random.key(1), BATCH)


def test_the_loss_is_its_three_parts() -> None:
    loss, metrics = SYSTEM.loss(PARAMS, jax.random.key(2), BATCH, jnp.int32(0))
    np.testing.assert_allclose(loss, metrics["distance"] + 3.0 * metrics["misled"] + metrics["critic"], rtol=1e-6)
    assert isinstance(SYSTEM.vae, vj.VAE)
    alone, _ = autoencoder_loss(SYSTEM.vae)(PARAMS, jax.random.key(2), BATCH, jnp.int32(0))
    np.testing.assert_allclose(metrics["distance"], alone, rtol=1e-6)


def test_each_side_follows_its_own_part() -> None:
    def slope(of: Any) -> Any:
        return jax.grad(lambda p: of(SYSTEM.loss(p, jax.random.key(2), BATCH, jnp.int32(0))))(PARAMS)

    whole = slope(lambda found: found[0])
    ours = slope(lambda found: found[1]["distance"] + 3.0 * found[1]["misled"])
    critics = slope(lambda found: found[1]["critic"])
    for name in ("encoder", "decoder"):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole[name], ours[name])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole["critic"], critics["critic"]
    )
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(critics["encoder"]))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(ours["critic"]))


def test_a_critic_that_has_learned_draws_the_codes_to_the_prior() -> None:
    assert isinstance(SYSTEM.vae, vj.VAE)
    vae = SYSTEM.vae
    drawn = jax.random.normal(jax.random.key(4), (64, 2))
    # Far from the prior at first: every code is shifted.
    params = jax.tree.map(lambda leaf: leaf, PARAMS)
    head = params["encoder"]["layers_2"]["Dense_0"]
    head["bias"] = head["bias"] + 3.0

    def distance(params: Any) -> float:
        return float(vj.mmd(jax.vmap(lambda x: vae.encode(params, x).mean)(BATCH["x"]), drawn))

    def trained(params: Any, part: str, tx: Any) -> Any:
        def step(carry: Any, key: Any) -> Any:
            params, state = carry
            found = lambda p: SYSTEM.loss(p, key, BATCH, 0)[1][part]
            updates, state = tx.update(jax.grad(found)(params), state, params)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(jax.random.key(3), 200)
        return jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), keys))(params)[0][0]

    taught = trained(params, "critic", optax.adam(1e-2))
    assert distance(taught) == distance(params)
    assert distance(trained(taught, "misled", optax.adam(1e-2))) < 0.5 * distance(params)
    # `SYSTEM.optimizer` gives the critic its own rule: with none for the model, nothing else moves.
    alone = trained(params, "critic", SYSTEM.optimizer(optax.set_to_zero()))
    assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (alone["critic"], params["critic"])), strict=True))
    jax.tree.map(np.testing.assert_array_equal, alone["encoder"], params["encoder"])
