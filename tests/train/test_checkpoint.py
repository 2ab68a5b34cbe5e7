import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax.core.errors import ConfigError
from vae_jax.train.checkpoint import Checkpoints


def tree(size: int = 3):
    params = {"w": jnp.arange(size, dtype=jnp.float32), "half": jnp.ones(2, jnp.bfloat16)}
    return {"params": params, "opt": optax.adam(1e-3).init(params), "key": jax.random.key(5), "step": jnp.int32(7)}


def test_everything_round_trips_exactly(tmp_path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.restore(tree()) is None
    for step in (1, 2, 3, 3):
        checkpoints.save(step, jax.tree.map(lambda leaf, s=step: leaf if leaf.shape == () else leaf + s, tree()))
    checkpoints.close()
    again = Checkpoints(tmp_path / "c")
    found = again.restore(tree())
    again.close()
    np.testing.assert_array_equal(found["params"]["w"], [3.0, 4.0, 5.0])
    np.testing.assert_array_equal(jax.random.key_data(found["key"]), jax.random.key_data(jax.random.key(5)))
    assert found["params"]["half"].dtype == jnp.bfloat16
    assert jax.tree.structure(found) == jax.tree.structure(tree())


def test_another_architecture_is_refused_in_one_line(tmp_path) -> None:
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(4, tree())
    checkpoints.close()
    again = Checkpoints(tmp_path / "c")
    with pytest.raises(
        ConfigError, match=r"checkpoint 4 is of another architecture: .*w has shape \(3,\) there and \(9,\)"
    ) as caught:
        again.restore(tree(9))
    again.close()
    assert "\n" not in str(caught.value)
