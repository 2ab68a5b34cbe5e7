"""`System`, the record of pure functions that the trainer takes, and `Spec`, what the file of a system declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vae_jax.core.types import Array, Key, Params
from vae_jax.models.vae import VAE, Autoencoder

if TYPE_CHECKING:
    # `import vae_jax` exports `System`, and must not load the data rooms.
    from vae_jax.config.fields import Experiment
    from vae_jax.data.dataset import Dataset

Batch = Any
Metrics = dict[str, Array]
# `(params, key, batch, step) -> (loss, metrics)`.
Loss = Callable[[Params, Key, Batch, Array], tuple[Array, Metrics]]
# In the place of a share that a batch cannot tell: finite, and too large for a share, also in percent, in every mean of
# fewer than a million batches that it is part of.
UNKNOWN_SHARE, LEAST_UNKNOWN = 1e9, 1e3
# Why a config cannot be run, or None where it can.
Requirement = Callable[["Experiment"], "str | None"]


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
    `given(condition) -> VAE`, for conditional systems, and `conditions` `[n, c]` for samples and pictures.
    `classify(params, x) -> logits`, for systems that tell classes.
    `example(batch)`: the examples `[B, …]` that `vae` takes.
    `prior_from`: the step from which the prior is fitted; before it, nothing can be sampled.
    `corrupt(key, x)`: how examples are spoilt in training, of a model that learns to undo it.
    `comparable`: whether parameters with a smaller loss are better. Not where a critic or a multiplier moves against
    the model: then the last parameters are kept.

    There is one loss: an adversary trains in the same step, by stop-gradients and `optax.partition`, and a parameter
    that is set without a gradient has the term `assign` under plain SGD.
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
    corrupt: Callable[[Key, Any], Any] | None = None
    comparable: bool = True

    @property
    def tells_classes(self) -> bool:
        """Whether the conditions that the model is told are classes."""
        return self.conditions is not None and np.array_equal(self.conditions, np.eye(len(self.conditions)))


class Spec(NamedTuple):
    """What the file of a system declares, as `SPEC`: how it is built, what it reads, what it requires.

    `build(config, dataset) -> System`: ConfigError or ValueError where the data do not fit the model.
    `reads`: what it reads of the sections objective, codes, labels, quantisation, stages and strings: a whole section
    ("objective") or one field ("codes.penalty"). A config that sets another field of them is refused, since it would
    have no effect.
    `requires`: functions of a config; each gives the reason why it cannot be run, or None where it can.
    `doubts`: the same of what can be run, but hardly is what was meant. A new run is refused; one that is there opens.
    """

    build: Callable[[Experiment, Dataset], System]
    reads: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    doubts: tuple[Requirement, ...] = ()
