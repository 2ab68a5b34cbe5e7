"""Generators other than JAX's usual one, in what draws again until a draw is accepted."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.core.keys import as_threefry

GENERATORS = ("rbg", "unsafe_rbg")
# Each redraws. The second is the exact mean of a value, or of its square where the mean says nothing.
REDRAWN: dict[str, tuple[Any, Callable[[Any], Any], float]] = {
    "VonMisesFisher": (vj.VonMisesFisher(jnp.eye(3)[0], jnp.array(2.0)), lambda x: x[0], 1.0 / np.tanh(2.0) - 0.5),
    "Poisson": (vj.Poisson(jnp.log(jnp.array([3.5]))), lambda x: x[0], 3.5),
    "Binomial": (vj.Binomial(jnp.array([0.0]), 40), lambda x: x[0], 20.0),
    "NegativeBinomial": (
        vj.NegativeBinomial(jnp.log(jnp.array([3.0])), jnp.log(jnp.array([2.0]))),
        lambda x: x[0],
        3.0,
    ),
    "StudentT": (vj.StudentT(jnp.array(9.0), jnp.zeros(1), jnp.array(1.0)), lambda x: x[0] ** 2, 9.0 / 7.0),
}


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("name", REDRAWN)
def test_a_batch_of_keys_comes_to_an_end_and_follows_the_law(name: str, generator: Any) -> None:
    distribution, number, expected = REDRAWN[name]
    keys = jax.random.split(jax.random.key(0, impl=generator), 4000)
    found = jax.jit(jax.vmap(lambda key: number(distribution.sample(key))))(keys)
    error = float(jnp.std(found)) / 4000**0.5
    assert abs(float(jnp.mean(found)) - expected) < 5 * error


@pytest.mark.parametrize("generator", GENERATORS)
def test_different_keys_stay_different(generator: Any) -> None:
    keys = jax.random.split(jax.random.key(3, impl=generator), 100)
    data = np.asarray(jax.random.key_data(jax.vmap(as_threefry)(keys)))
    assert data.shape == (100, 2)
    assert len(np.unique(data, axis=0)) == 100
    assert "threefry" in str(jax.random.key_impl(as_threefry(keys[0])))


def test_the_usual_key_is_itself() -> None:
    key = jax.random.key(5, impl="threefry2x32")
    assert as_threefry(key) is key
