from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.core.bits import bernoulli
from vae_jax.core.mesh import on

KEYS = {"threefry": jax.random.key(3), "far": jax.random.key(-1), "rbg": jax.random.key(3, impl="rbg")}


def shares(shape: tuple[int, ...]) -> Any:
    """Probabilities, among them 0 and 1."""
    p = jax.random.uniform(jax.random.key(1), shape, minval=-0.1, maxval=1.1)
    return jnp.clip(p, 0.0, 1.0)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("shape", [(128, 784), (7, 5), (3,), (1, 1), (0, 4), ()])
def test_the_bits_are_those_of_jax(key: Any, shape: tuple[int, ...]) -> None:
    p = shares(shape)
    expected = jax.random.bernoulli(key, p)
    for function in (bernoulli, jax.jit(bernoulli)):
        drawn = function(key, p)
        assert drawn.dtype == bool
        np.testing.assert_array_equal(drawn, expected)


def test_under_vmap_each_key_has_its_own() -> None:
    keys, p = jax.random.split(jax.random.key(0), 5), shares((5, 3, 7))
    expected = jax.vmap(jax.random.bernoulli)(keys, p)
    np.testing.assert_array_equal(jax.vmap(bernoulli)(keys, p), expected)


def test_zeros_and_ones_stay() -> None:
    p = jnp.repeat(jnp.asarray([0.0, 1.0]), 50_000)
    np.testing.assert_array_equal(bernoulli(jax.random.key(0), p), p == 1.0)


def program() -> str:
    # A function of its own, since JAX keeps what it traced.
    return str(jax.make_jaxpr(lambda key, p: bernoulli(key, p))(jax.random.key(0), shares((6, 4))))


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
def test_elsewhere_jax_draws_them(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    assert ("scan" in program()) == (backend == "cpu")
    with on(jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))):
        assert "scan" not in program()


def test_the_older_bits_of_jax_are_kept_too() -> None:
    p, key = shares((6, 5)), jax.random.key(0)
    with jax.threefry_partitionable(False):
        np.testing.assert_array_equal(bernoulli(key, p), jax.random.bernoulli(key, p))
