"""A function of one example over a batch: all at once, or in parts that need less memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.trees import num_examples
from vae_jax.core.types import Key


def over_examples(function: Callable[[Key, Any], Any], key: Key, x: Any, *, parts: int = 1) -> Any:
    """`function(key, x)` for every example of `x` `[B, …]`, each with its own key; the results stacked to `[B, …]`.

    `parts`: the batch is cut into so many parts, one computed after the other. For a gradient each part is computed
    again, so nothing of it is kept but its results: less memory, and more time. The numbers are the same.
    """
    size = num_examples(x)
    arguments = (jax.random.split(key, size), x)
    if parts == 1:
        return jax.vmap(function)(*arguments)
    again = jax.vmap(jax.checkpoint(function, prevent_cse=False))
    parts = min(parts, size)
    whole = size - size % parts

    def cut(leaf: Any) -> Any:
        # Every `parts`-th example, so that each part has some of every device along which the batch is cut.
        return jnp.swapaxes(leaf[:whole].reshape(-1, parts, *leaf.shape[1:]), 0, 1)

    def joined(leaf: Any) -> Any:
        return jnp.swapaxes(leaf, 0, 1).reshape(whole, *leaf.shape[2:])

    results = jax.tree.map(joined, lax.map(lambda pair: again(*pair), jax.tree.map(cut, arguments)))
    if whole == size:
        return results
    rest = again(*jax.tree.map(lambda leaf: leaf[whole:], arguments))
    return jax.tree.map(lambda *pair: jnp.concatenate(pair), results, rest)
