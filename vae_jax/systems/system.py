"""What the trainer takes: a record of pure functions over batches."""

from collections.abc import Callable
from typing import Any, NamedTuple

from vae_jax.distributions import Array, Key
from vae_jax.model import VAE, Autoencoder, Params

Batch = Any
Metrics = dict[str, Array]
# `(params, key, batch, step) -> (loss, metrics)`.
Loss = Callable[[Params, Key, Batch, Array], tuple[Array, Metrics]]


def _unchanged(tx: Any) -> Any:
    return tx


def _x_of(batch: Any) -> Any:
    return batch["x"]


class System(NamedTuple):
    """A trainable model.

    `init(key, batch) -> params`; the batch shows the shapes.
    `loss(params, key, batch, step) -> (loss, metrics)`: a scalar to be minimised and scalar metrics, both means
    over the batch.
    `vae`: what evaluation, generation and pictures take; an `Autoencoder` where there is no prior, None where there
    is neither (yet).
    `optimizer`: wraps the configured optax transformation, outermost; e.g. `optax.partition` gives groups of
    parameters a rule of their own.
    `given(condition) -> VAE`, for conditional systems, and `conditions` `[n, c]` to draw and to show.
    `classify(params, x) -> logits` for those that tell classes.
    `example(batch)`: what `vae` takes for examples `[B, …]`.
    `prior_from`: the step from which on the prior is fitted; before it, nothing can be sampled.
    `comparable`: whether the parameters with the smaller loss are the better ones. Not where a critic or a multiplier
    moves against the model: then the last parameters are kept.

    One loss carries it all: an adversary trains in the same step by stop-gradients and `optax.partition`, and
    a value that is set without a gradient is the term `assign` under plain SGD.
    """

    init: Callable[[Key, Batch], Params]
    loss: Loss
    vae: VAE | Autoencoder | None
    optimizer: Callable[[Any], Any] = _unchanged
    given: Callable[[Any], VAE] | None = None
    conditions: Array | None = None
    classify: Callable[[Params, Any], Array] | None = None
    example: Callable[[Batch], Any] = _x_of
    prior_from: int = 0
    comparable: bool = True
