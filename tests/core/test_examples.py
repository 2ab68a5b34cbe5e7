import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.core.examples import over_examples

KEY = jax.random.key(0)
X = {"a": jax.random.normal(jax.random.key(1), (10, 3)), "b": jnp.arange(10)}


def one(key: jax.Array, x: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    return jnp.sum(jnp.tanh(x["a"]) + jax.random.normal(key, (3,))), x["b"]


@pytest.mark.parametrize("parts", [1, 2, 3, 5, 10, 20])
def test_parts_give_the_same_numbers_and_the_same_gradient(parts: int) -> None:
    expected = jax.vmap(one)(jax.random.split(KEY, 10), X)
    computed = jax.jit(lambda: over_examples(one, KEY, X, parts=parts))()
    np.testing.assert_allclose(computed[0], expected[0], rtol=1e-6)
    np.testing.assert_array_equal(computed[1], expected[1])

    def loss(scale: jax.Array, parts: int) -> jax.Array:
        def scaled(key: jax.Array, x: dict[str, jax.Array]) -> jax.Array:
            return one(key, {**x, "a": scale * x["a"]})[0] ** 2

        return jnp.mean(over_examples(scaled, KEY, X, parts=parts))

    scale = jnp.array([0.5, 1.0, 2.0])
    gradient = jax.grad(loss)
    np.testing.assert_allclose(jax.jit(gradient, static_argnums=1)(scale, parts), gradient(scale, 1), rtol=1e-5)


def test_parts_need_less_memory() -> None:
    weights = [jnp.full((256, 256), 1e-3) for _ in range(4)]

    def loss(weights: list[jax.Array], parts: int) -> jax.Array:
        def deep(key: jax.Array, x: jax.Array) -> jax.Array:
            for weight in weights:
                x = jnp.tanh(x @ weight)
            return jnp.sum(x)

        return jnp.mean(over_examples(deep, KEY, jnp.ones((4096, 256)), parts=parts))

    def bytes_of(parts: int) -> int:
        memory = jax.jit(jax.grad(loss), static_argnums=1).lower(weights, parts).compile().memory_analysis()
        return memory.temp_size_in_bytes

    assert bytes_of(8) < bytes_of(1) / 3


ON_EIGHT = """
import jax
import jax.numpy as jnp

from vae_jax.core.examples import over_examples
from vae_jax.core.mesh import along

mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

def loss(weight, x):
    layer = lambda key, x: jnp.sum(jnp.tanh(x @ weight))
    return jnp.mean(over_examples(layer, jax.random.key(0), along("data", x), parts=4))

with jax.set_mesh(mesh):
    program = jax.jit(jax.grad(loss)).lower(jnp.ones((96, 96)), jnp.ones((192, 96))).compile().as_text()
# A part has 48 examples, and a device 6 of them.
assert "f32[6,96]" in program
assert "f32[48,96]" not in program
"""


def test_each_part_is_computed_on_all_devices() -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", ON_EIGHT], env=environment, check=True)
