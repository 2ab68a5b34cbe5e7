"""The types that every signature uses."""

from typing import Any

import jax

Array = jax.Array
# A typed PRNG key, made by `jax.random.key(seed)`.
Key = jax.Array
PyTree = Any
# Whatever a model's functions take as their first argument.
Params = Any
