import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.toy_systems import points
from vae_jax.systems.system import System
from vae_jax.train.validation import split_metrics


@pytest.mark.parametrize("batch_size", [1, 7, 10, 63, 64, 1000])
def test_the_remainder_counts_by_its_true_size(batch_size: int) -> None:
    data, sizes = points(64), []

    def loss(params, key, batch, step):
        # Some losses are of two examples at least.
        sizes.append(len(batch["x"]))
        return jnp.mean(batch["x"]), {"square": jnp.mean(jnp.square(batch["x"]))}

    system = System(lambda key, batch: (), loss, None)
    found = split_metrics(system, (), jax.random.key(0), data, jnp.int32(0), batch_size=batch_size)
    np.testing.assert_allclose(found["loss"], data["x"].mean(), rtol=1e-5)
    np.testing.assert_allclose(found["square"], jnp.square(data["x"]).mean(), rtol=1e-5)
    assert batch_size == 1 or min(sizes) > 1
