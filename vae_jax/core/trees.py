"""Functions of any pytree: stop its gradients, count its examples, take the first one."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.types import PyTree


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
