"""Groups of parameters with optimisers of their own."""

from collections.abc import Mapping
from typing import Any

import optax
from jax.tree_util import tree_map_with_path


def apart(
    rules: Mapping[str, optax.GradientTransformation], tx: optax.GradientTransformation
) -> optax.GradientTransformation:
    """`tx` for all parameters except those under the keys of `rules`, each of which follows its own rule alone: it is
    not clipped or decayed with the others. Where two keys lead to a parameter, the innermost counts.
    """

    def labels(params: Any) -> Any:
        def label(path: Any) -> str:
            names = [key for part in path if (key := getattr(part, "key", None)) in rules]
            return f"apart: {names[-1]}" if names else "model"

        return tree_map_with_path(lambda path, leaf: label(path), params)

    return optax.partition({"model": tx, **{f"apart: {name}": rule for name, rule in rules.items()}}, labels)
