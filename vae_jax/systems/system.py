"""What the trainer takes: a record of pure functions over batches."""

from collections.abc import Callable
from typing import Any, NamedTuple

import optax
from jax.tree_util import tree_map_with_path

from vae_jax.distributions import Array, Key
from vae_jax.model import VAE, Params

Batch = Any
Metrics = dict[str, Array]
# `(params, key, batch, step) -> (loss, metrics)`.
Loss = Callable[[Params, Key, Batch, Array], tuple[Array, Metrics]]


def _unchanged(tx: Any) -> Any:
    return tx


class System(NamedTuple):
    """A trainable model.

    `init(key, batch) -> params`; the batch shows the shapes.
    `loss(params, key, batch, step) -> (loss, metrics)`: a scalar to be minimised and scalar metrics, both means
    over the batch.
    `vae`: what evaluation, generation and pictures take; None where there is no density (yet).
    `optimizer`: wraps the configured optax transformation, outermost; e.g. `optax.partition` gives groups of
    parameters a rule of their own.
    `given(condition) -> VAE`, for conditional systems.

    One loss carries it all: an adversary trains in the same step by stop-gradients and `optax.partition`, and
    a value that is set without a gradient is the term `assign` under plain SGD.
    """

    init: Callable[[Key, Batch], Params]
    loss: Loss
    vae: VAE | None
    optimizer: Callable[[Any], Any] = _unchanged
    given: Callable[[Any], VAE] | None = None


def apart(
    name: str, rule: optax.GradientTransformation, tx: optax.GradientTransformation
) -> optax.GradientTransformation:
    """`tx` for all parameters but those under the key `name`: they follow `rule`, neither clipped nor decayed."""

    def labels(params: Any) -> Any:
        return tree_map_with_path(
            lambda path, leaf: "apart" if any(getattr(part, "key", None) == name for part in path) else "model", params
        )

    return optax.partition({"model": tx, "apart": rule}, labels)
