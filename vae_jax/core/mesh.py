"""Arrays over several devices: what is written here follows the mesh that is set, and without one does nothing.

    with jax.set_mesh(jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))):
        …

The axes have names: `data` (the examples of a batch), `samples` (the draws of z of one example), `members` (of a
sweep). XLA lays out everything that follows from an array that is cut along one of them, and adds what must be added.
So a batch is one array, also over many devices, and what is computed of a whole batch stays that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vae_jax.core.types import PyTree

DATA, SAMPLES, MEMBERS = AXES = ("data", "samples", "members")


def along(axis: str, tree: PyTree) -> PyTree:
    """Inside a compiled function: arrays `[n, …]`, cut along an axis of the mesh that is set.

    They stay as they are where no mesh is set, where it lacks the axis or leaves it to others than XLA (an axis that is
    Manual, as in `shard_map`, or Explicit), or where n is no multiple of its length. Under `vmap` n is the axis that
    the function sees.
    """
    mesh = jax.sharding.get_abstract_mesh()
    kinds = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
    if kinds.get(axis) is not jax.sharding.AxisType.Auto:
        return tree

    def cut(leaf: Any) -> Any:
        # A scalar is one for all.
        whole = jnp.ndim(leaf) and leaf.shape[0] % mesh.shape[axis] == 0
        return lax.with_sharding_constraint(leaf, PartitionSpec(axis)) if whole else leaf

    return jax.tree.map(cut, tree)


def place(tree: PyTree, axis: str | None = None) -> PyTree:
    """Outside of compiled functions: arrays committed to the mesh that is set, or else to the first device.

    All of an array lies on every device, or with `axis` its first axis is cut along that of the mesh. An array that
    lies on all devices of the mesh already stays as it is.
    """
    if jax.sharding.get_abstract_mesh().empty:
        return jax.device_put(tree, jax.devices()[0])
    sharding = _sharding(axis)

    def put(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and leaf.committed and leaf.sharding.device_set == sharding.device_set:
            return leaf
        if sharding.is_fully_addressable:
            return jax.device_put(leaf, sharding)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
        # Of many processes each gives its own devices their part of what all of them have.
        return jax.make_array_from_callback(np.shape(leaf), sharding, np.asarray(leaf).__getitem__)

    return jax.tree.map(put, tree)


def own_rows(size: int, axis: str) -> slice:
    """Which of `size` rows, cut along an axis of the mesh that is set, lie on devices of this process."""
    if jax.sharding.get_abstract_mesh().empty:
        return slice(0, size)
    cut = _sharding(axis).addressable_devices_indices_map((size,)).values()
    ends = [index[0].indices(size)[:2] for index in cut if index is not None]
    return slice(min(first for first, _ in ends), max(last for _, last in ends))


def place_own(tree: PyTree, axis: str, own: slice, size: int) -> PyTree:
    """Arrays of `size` rows where `place` puts them, from those of this process alone, `own` (`own_rows`)."""
    if own == slice(0, size):
        return place(tree, axis)
    sharding = _sharding(axis)

    def put(leaf: Any) -> Any:
        def part(index: Any) -> Any:
            first, last, _ = index[0].indices(size)
            return leaf[(slice(first - own.start, last - own.start), *index[1:])]

        return jax.make_array_from_callback((size, *leaf.shape[1:]), sharding, part)

    return jax.tree.map(put, tree)


def replicated() -> PartitionSpec | None:
    """The `out_shardings` of what every device of the mesh shall have whole; None where no mesh is set."""
    return None if jax.sharding.get_abstract_mesh().empty else PartitionSpec()


def placement(tree: PyTree, axis: str | None = None) -> PyTree:
    """Abstract arrays that lie where `place` puts them, on the mesh that is set."""
    sharding = _sharding(axis)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree)


def _sharding(axis: str | None) -> NamedSharding:
    mesh = jax.sharding.get_mesh()
    return NamedSharding(mesh, PartitionSpec(axis) if axis in mesh.axis_names else PartitionSpec())


def whole_parts(size: int) -> int:
    """The smallest number from `size` on of examples that can be cut along `data` of the mesh that is set."""
    parts = dict(jax.sharding.get_abstract_mesh().shape).get(DATA, 1)
    return -(-size // parts) * parts


@contextmanager
def on(mesh: Mesh | None) -> Iterator[None]:
    """Set a mesh; None sets nothing."""
    if mesh is None:
        yield
        return
    with jax.set_mesh(mesh):
        yield
