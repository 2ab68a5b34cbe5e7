"""A function of one example over a batch: all at once, or in parts that need less memory."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from vae_jax.core.trees import num_examples
from vae_jax.core.types import Key


def over_examples(function: Callable[[Key, Any], Any], key: Key, x: Any, *, parts: int = 1) -> Any:
    """`function(key, x)` for every example of `x` `[B, …]`, each with its own key; the results stacked to `[B, …]`.

    `parts`: the batch is cut into so many parts, one computed after the other. For a gradient each part is computed
    again, so nothing of it is kept: less memory, and more time. The numbers are the same.
    """
    size = num_examples(x)
    arguments = (jax.random.split(key, size), x)
    if parts == 1:
        return jax.vmap(function)(*arguments)
    again = jax.checkpoint(function, prevent_cse=False)
    return lax.map(lambda pair: again(*pair), arguments, batch_size=-(-size // parts))
