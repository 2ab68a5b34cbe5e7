"""Groups of parameters with optimisers of their own."""

from typing import Any

import optax
from jax.tree_util import tree_map_with_path


def apart(
    name: str, rule: optax.GradientTransformation, tx: optax.GradientTransformation
) -> optax.GradientTransformation:
    """`tx` for all parameters but those under the key `name`: they follow `rule`, neither clipped nor decayed."""

    def labels(params: Any) -> Any:
        return tree_map_with_path(
            lambda path, leaf: "apart" if any(getattr(part, "key", None) == name for part in path) else "model", params
        )

    return optax.partition({"model": tx, "apart": rule}, labels)
