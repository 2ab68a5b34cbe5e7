"""The mean loss over a whole split, exactly: whole batches and the remainder, weighted by their sizes."""

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.mesh import DATA, along
from vae_jax.core.trees import num_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.systems.system import Batch, Metrics, System


def split_metrics(system: System, params: Params, key: Key, batch: Batch, step: Array, *, batch_size: int) -> Metrics:
    """The loss and the metrics of a system, as means over all examples of the prepared `batch` `[n, …]`."""
    size = num_examples(batch)
    batch_size = min(batch_size, size)
    count, remainder = divmod(size, batch_size)
    if remainder == 1:
        # Some losses need two examples at least, so a single one left over joins the last batch.
        count, remainder = count - 1, batch_size + 1

    def weighted(index: Array, part: Batch, weight: int) -> Metrics:
        loss, metrics = system.loss(params, jax.random.fold_in(key, index), along(DATA, part), step)
        return jax.tree.map(lambda value: value * (weight / size), {"loss": loss, **metrics})

    whole = jax.tree.map(lambda leaf: leaf[: size - remainder].reshape(count, batch_size, *leaf.shape[1:]), batch)
    parts = lax.map(lambda indexed: weighted(indexed[0], indexed[1], batch_size), (jnp.arange(count), whole))
    result = jax.tree.map(lambda part: jnp.sum(part, axis=0), parts)
    if remainder:
        last = jax.tree.map(lambda leaf: leaf[size - remainder :], batch)
        result = jax.tree.map(jnp.add, result, weighted(jnp.int32(count), last, remainder))
    return result
