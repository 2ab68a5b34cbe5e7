"""Functions of arrays and pytrees: stop gradients, count examples, take the first, name leaves, widen, add up."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.types import Array, PyTree


def freeze(tree: PyTree) -> PyTree:
    """`stop_gradient` on every inexact array of a pytree; other leaves (integers, functions) pass through."""

    def stop(leaf: Any) -> Any:
        inexact = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
        return lax.stop_gradient(leaf) if inexact else leaf

    return jax.tree.map(stop, tree)


def num_examples(stacked: PyTree) -> int:
    """The common length n of a pytree of arrays `[n, …]`. ValueError where the arrays differ in length."""
    sizes = {leaf.shape[0] for leaf in jax.tree.leaves(stacked)}
    if len(sizes) != 1:
        raise ValueError(f"all arrays of the data must have the same length, got lengths {sorted(sizes)}.")
    return sizes.pop()


def first_example(stacked: PyTree) -> PyTree:
    """Example 0 of a pytree of arrays `[n, …]`."""
    return jax.tree.map(lambda leaf: leaf[0], stacked)


def by_name(tree: PyTree) -> dict[str, Any]:
    """The leaves of a pytree by their dotted paths, "params.Dense_0.kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def first_difference(found: PyTree, expected: PyTree) -> tuple[str, str, str] | None:
    """The name of the first array whose shape differs, and its shapes; "none" where one of the two lacks it."""
    one, other = ({name: _shape(leaf) for name, leaf in by_name(tree).items()} for tree in (found, expected))
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            return name, str(one.get(name, "none")), str(other.get(name, "none"))
    return None


def _shape(leaf: Any) -> tuple[int, ...]:
    is_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return tuple(jax.random.key_data(leaf).shape if is_key else leaf.shape)


def wide_type(*parts: Any) -> Any:
    """The type of what is computed from these arrays, numbers or types: float32 or wider."""
    return jnp.promote_types(jnp.result_type(*parts), jnp.float32)


def widened(x: Any) -> Array:
    """As float32 or wider. In half precision a draw has 128 levels, and a count above 256 loses its last digits."""
    x = jnp.asarray(x)
    wide = wide_type(x)
    # What is wide already keeps its weak type: a number of Python widens nothing under x64.
    return x if x.dtype == wide else x.astype(wide)


def as_float(x: Any) -> Any:
    """A whole number of Python as a float, since some functions of JAX take no integers; all else as it is."""
    return float(x) if isinstance(x, int) else x


def summed(terms: Array) -> Array:
    """The sum of all elements, a scalar of float32 or wider: bfloat16 would lose the digits of a log-density."""
    return jnp.sum(terms, dtype=wide_type(terms))
