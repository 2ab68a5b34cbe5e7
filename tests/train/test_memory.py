import jax
import jax.numpy as jnp
import pytest

from vae_jax.core.errors import ConfigError
from vae_jax.train import memory


def test_what_does_not_fit_is_refused_before_it_is_made(monkeypatch) -> None:
    size = memory.size_of(jax.eval_shape(lambda: {"a": jnp.zeros((3, 4)), "b": jnp.zeros(5, jnp.int32)}))
    assert size == 4 * 12 + 4 * 5
    # More elements than a 32-bit number counts.
    large = memory.size_of(jax.ShapeDtypeStruct((2**20, 2**20), jnp.float32))
    assert large == 2**42
    assert memory.held_in_a_step({"params": jnp.zeros(10), "moments": jnp.zeros(20)}, jnp.zeros(10)) == 4 * 40
    monkeypatch.setattr(memory, "memory", lambda: 2**30)
    memory.check_memory("a model", size, "Make it smaller.")
    with pytest.raises(ConfigError, match=r"a model needs about 4096\.0 GiB at once.* are 1\.0\. Make it small"):
        memory.check_memory("a model", large, "Make it smaller.")
    monkeypatch.setattr(memory, "memory", lambda: None)
    memory.check_memory("a model", large, "Make it smaller.")
