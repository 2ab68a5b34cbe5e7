"""The standard deviation of a normal likelihood at its optimum, found in closed form instead of by gradient steps.

Simple and Effective VAE Training with Calibrated Decoders (sigma-VAE), arXiv 2006.13202.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import tree_map_with_path

# A running mean over about ten batches: the value that evaluation uses must not be that of the last batch alone.
_RATE = 0.1
# One exact reconstruction must not send the logarithm to −∞.
_LEAST_RATIO = 1e-2


def to_optimum(size: int, *, rate: float = _RATE) -> optax.GradientTransformation:
    """Move log σ of a normal likelihood of `size` elements a share `rate` of the way to the batch's best value.

    Let S be the sum of squared errors of an example. The derivative of −log p(x | z) in log σ is size − S / σ², so the
    gradient g of the loss gives the best value: σ*² = S / size = σ² (1 − g / size). For a bound of several draws, S is
    their mean under the weights of the bound. The loss must contain −log p(x | z) with the weight 1.
    """

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        step = jax.tree.map(lambda g: 0.5 * rate * jnp.log(jnp.maximum(1.0 - g / size, _LEAST_RATIO)), updates)
        return step, state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def optimal_scale(size: int, tx: optax.GradientTransformation) -> optax.GradientTransformation:
    """`tx` for all parameters except log σ of the likelihood, which `to_optimum` sets."""

    def labels(params: Any) -> Any:
        def label(path: Any) -> str:
            names = [getattr(part, "key", None) for part in path]
            # A prior may have scales of its own.
            return "apart: log_scale" if "log_scale" in names and "prior" not in names else "model"

        return tree_map_with_path(lambda path, leaf: label(path), params)

    return optax.partition({"model": tx, "apart: log_scale": to_optimum(size)}, labels)
