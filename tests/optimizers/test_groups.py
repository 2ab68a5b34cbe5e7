"""Parameters that follow a rule of their own, in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.optimizers.groups import apart

PARAMS = {"model": {"w": jnp.array([3.0, 4.0])}, "critic": {"w": jnp.array([3.0, 4.0])}}


def step(tx: optax.GradientTransformation, params, gradient):
    return tx.update(gradient, tx.init(params), params)[0]


def test_a_part_follows_its_own_rule_and_is_neither_clipped_nor_decayed() -> None:
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.add_decayed_weights(0.5), optax.sgd(0.1))
    updates = step(apart({"critic": optax.sgd(1.0)}, tx), PARAMS, PARAMS)
    # The norm that is clipped is that of the model alone, 5.
    np.testing.assert_allclose(updates["model"]["w"], -0.1 * (np.array([3.0, 4.0]) / 5 + 0.5 * np.array([3.0, 4.0])))
    np.testing.assert_allclose(updates["critic"]["w"], [-3.0, -4.0])


def test_each_of_several_names_has_its_rule_and_the_last_on_the_way_counts() -> None:
    params = {"a": jnp.ones(1), "b": {"a": jnp.ones(1), "c": jnp.ones(1)}, "c": [jnp.ones(1)]}
    updates = step(apart({"a": optax.sgd(2.0), "b": optax.sgd(3.0)}, optax.sgd(1.0)), params, params)
    assert jax.tree.map(float, jax.tree.map(jnp.sum, updates)) == {"a": -2.0, "b": {"a": -2.0, "c": -3.0}, "c": [-1.0]}


def test_a_name_that_is_nowhere_leaves_all_to_the_model() -> None:
    updates = step(apart({"nothing": optax.sgd(1.0)}, optax.sgd(0.5)), PARAMS, PARAMS)
    assert all(leaf.tolist() == [-1.5, -2.0] for leaf in jax.tree.leaves(updates))
