import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import changed
from tests.systems.disentangling import BASE, BATCH, DIGITS, assert_is_the_vae
from vae_jax.config import Codes
from vae_jax.core.errors import ConfigError
from vae_jax.systems import factor
from vae_jax.systems.registry import validate


def test_without_a_weight_it_is_the_vae() -> None:
    assert_is_the_vae(factor.build(dataclasses.replace(BASE, system="factor", codes=Codes(critic_weight=0.0)), DIGITS))


def test_shuffling_keeps_every_column() -> None:
    codes = jax.random.normal(jax.random.key(0), (50, 3))
    found = factor.shuffled(jax.random.key(1), codes)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(codes, axis=0))
    assert not np.array_equal(found[:, 0].argsort(), codes[:, 0].argsort())
    orders = [[int(np.flatnonzero(codes[:, j] == value)[0]) for value in found[:, j]] for j in range(3)]
    assert orders[0] != orders[1] != orders[2]


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


def test_a_batch_of_one_is_refused() -> None:
    config = dataclasses.replace(changed(BASE, "train", batch_size=1), system="factor")
    with pytest.raises(ConfigError, match="--system factor compares the codes of a batch: use --batch-size 2 or more"):
        validate(config)
