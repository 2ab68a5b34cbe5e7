import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from vae_jax.core.mesh import DATA, along, on, own_rows, place, placement, replicated, whole_parts

# What can be seen on several devices alone; it runs in a process that has eight.
ON_EIGHT = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, PartitionSpec as P
from vae_jax.core.mesh import along, own_rows, place_own, replicated, on, place, placement, whole_parts

mesh = jax.make_mesh((4, 2), ("data", "samples"), axis_types=(AxisType.Auto,) * 2)
x = np.arange(24.0, dtype=np.float32).reshape(8, 3)
cut = jax.jit(lambda x: along("data", x) + 1.0)
assert cut(x).sharding.is_fully_replicated
keys = jax.random.split(jax.random.key(0), 8)
with on(mesh):
    assert whole_parts(9) == 12 and whole_parts(8) == 8
    assert replicated() == P()
    assert cut(x).sharding.spec == P("data")
    # Seven cannot be cut into four, and there is no axis of members.
    assert cut(x[:7]).sharding.is_fully_replicated
    assert jax.jit(lambda x: along("members", x))(x).sharding.is_fully_replicated
    # Under vmap the axis that the function sees is cut, and the other may be.
    both = jax.jit(lambda x: jax.vmap(lambda row: along("samples", row) * 2.0)(along("data", x)))
    assert both(np.ones((8, 4))).sharding.spec == P("data", "samples")
    whole, part = place(x), place(x, "data")
    assert whole.sharding.is_fully_replicated and part.sharding.spec == P("data")
    assert place(part) is part
    assert placement(x, "data").sharding == part.sharding
    assert own_rows(8, "data") == slice(0, 8)
    np.testing.assert_array_equal(place_own({"x": x}, "data", slice(0, 8), 8)["x"], x)
    assert place(np.float32(1), "members").sharding.is_fully_replicated
    assert place(keys, "data").sharding.spec == P("data")
    loss = jax.jit(lambda x: jnp.mean(along("data", x) ** 2))
    np.testing.assert_allclose(loss(x), np.mean(x**2), rtol=1e-6)
assert place(x).devices() == {jax.devices()[0]}
"""


def test_arrays_are_cut_along_the_mesh_that_is_set() -> None:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", ON_EIGHT], env=environment, check=True)


def test_an_axis_that_a_user_cuts_by_hand_is_left_to_them() -> None:
    mesh = jax.make_mesh((1,), ("samples",), axis_types=(jax.sharding.AxisType.Auto,))
    by_hand = jax.shard_map(
        lambda x: along("samples", x) + 1.0,
        mesh=mesh,
        in_specs=PartitionSpec("samples"),
        out_specs=PartitionSpec("samples"),
    )
    np.testing.assert_array_equal(by_hand(jnp.arange(4.0)), jnp.arange(4.0) + 1.0)
    with jax.set_mesh(jax.make_mesh((1,), ("samples",), axis_types=(jax.sharding.AxisType.Explicit,))):
        np.testing.assert_array_equal(jax.jit(lambda x: along("samples", x))(jnp.arange(4.0)), jnp.arange(4.0))


def test_without_a_mesh_nothing_changes() -> None:
    x = jnp.arange(6.0)
    assert along(DATA, x) is x
    assert whole_parts(7) == 7
    assert replicated() is None
    assert own_rows(5, DATA) == slice(0, 5)
    with on(None):
        assert place(np.ones(2)).devices() == {jax.devices()[0]}
        assert placement(x).shape == (6,)


def test_a_scalar_is_not_cut() -> None:
    with on(jax.make_mesh((1,), (DATA,), axis_types=(jax.sharding.AxisType.Auto,))):
        cut = jax.jit(lambda tree: along(DATA, tree))({"x": jnp.ones(4), "temperature": jnp.float32(1.0)})
    assert cut["temperature"] == 1.0
