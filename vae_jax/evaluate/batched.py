"""Measurements over a dataset, example by example, in batches of bounded memory."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_count
from vae_jax.core.mesh import DATA, along, whole_parts
from vae_jax.core.trees import num_examples
from vae_jax.core.types import Key, Params
from vae_jax.evaluate.likelihood import LogMarginal, log_marginal
from vae_jax.evaluate.statistics import standard_error
from vae_jax.models.vae import VAE

# A tree of arrays `[n, …]`, one row for each example.
Estimates = TypeVar("Estimates")
# So many elements of x are decoded at a time, at most: those of 100 examples of 784, from 100 codes each. For these a
# network holds some tens of times as many numbers.
_MOST_DECODED = 100 * 100 * 784
# From so many codes an example is decoded at a time where nothing else is said.
CHUNK = 100
# How many results each function under `per_model` keeps.
_MODELS_KEPT = 4


class MeanLogMarginal(NamedTuple):
    """The mean over n examples of their estimates of log p(x), in nats.

    `monte_carlo_error`: standard error of the mean from the k samples alone, for these very examples.
    `examples_error`: standard error of the mean from the choice of examples, `std / sqrt(n)` (NaN for n = 1).
    `ess`: median effective sample size, of k. `elbo`: mean ELBO of the same draws.
    `unreliable`: of the examples that have a Pareto k̂, the share where it is above 0.7. Unless that share is small, k
    was not enough. NaN where no example has one.
    """

    value: float
    monte_carlo_error: float
    examples_error: float
    ess: float
    elbo: float
    unreliable: float
    num_samples: int
    num_examples: int


def batches(size: int, batch_size: int, first: int = 0) -> Iterator[slice]:
    """Slices that cover `range(first, size)`, the last one shorter where needed."""
    for start in range(first, size, batch_size):
        yield slice(start, min(start + batch_size, size))


def vectorised(function: Callable[..., Any], *, shared: int) -> Callable[..., Any]:
    """Compile `function(*shared, i, x)` for batches of i and x; all examples share the first `shared` arguments.

    Where a mesh is set, batches are cut along its axis `data`.
    """
    over_batch = jax.vmap(function, in_axes=(*(None,) * shared, 0, 0))
    return jax.jit(lambda *arguments: over_batch(*arguments[:shared], *along(DATA, arguments[shared:])))


def per_model(make: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: keep the last few results of `make(model, *options)`, and give them again for the same arguments.

    So a measure is compiled once for a model, however many parameters it is measured with.
    """
    kept: dict[Any, Any] = {}

    @functools.wraps(make)
    def of_model(model: Any, *options: Any) -> Any:
        # By identity, since functions that hold arrays have no hash; the model is kept, so that no other has its id.
        identity = (*map(id, model), *options)
        if identity not in kept:
            while len(kept) >= _MODELS_KEPT:
                kept.pop(next(iter(kept)))
            kept[identity] = model, make(model, *options)
        return kept[identity][1]

    return of_model


def codes_at_once(x: Any) -> int:
    """From how many codes an example of x `[n, …]` is decoded at a time, so that large ones fit the memory."""
    return max(1, min(CHUNK, _MOST_DECODED // _elements(x)))


def examples_at_once(x: Any, codes: int) -> int:
    """How many examples of x `[n, …]` go together where each is decoded from so many codes at a time."""
    return max(1, min(100, _MOST_DECODED // (_elements(x) * codes)))


def _elements(x: Any) -> int:
    return max(1, sum(math.prod(leaf.shape[1:]) for leaf in jax.tree.leaves(x)))


def in_batches(
    compiled: Callable[..., Any], x: Any, *shared: Any, first: int = 0, batch_size: int = 100
) -> Iterator[Any]:
    """Batches of `compiled(*shared, i, x[i])` (`vectorised`) on the host, for x `[n, …]` from example `first` on."""
    check_count("in_batches", "batch_size", batch_size)
    for rows in batches(num_examples(x), whole_parts(batch_size), first):
        part = jax.tree.map(lambda leaf, rows=rows: leaf[rows], x)
        yield jax.tree.map(np.asarray, compiled(*shared, jnp.arange(rows.start, rows.stop), part))


def mapped(function: Callable[[Any, Any], Any], x: Any, *, first: int = 0, batch_size: int = 100) -> Iterator[Any]:
    """Batches of `function(i, x[i])`, compiled, on the host, for x `[n, …]` from example `first` on."""
    return in_batches(vectorised(function, shared=0), x, first=first, batch_size=batch_size)


def map_batches(
    function: Callable[[Any, Any], Any],
    x: Any,
    *,
    prepare: Callable[[Any], Any] | None = None,
    batch_size: int = 100,
) -> Any:
    """`function(i, x[i])` of every example of `x` `[n, …]`, a compiled batch at a time; `[n, …]` on the host.

    `prepare`: makes of a batch `x[rows]` what `function` sees, so that no more than a batch is ever prepared.
    ValueError if there are no examples.
    """
    compiled = vectorised(function, shared=0)
    of_batch = compiled if prepare is None else lambda i, rows: compiled(i, prepare(rows))
    return join(in_batches(of_batch, x, batch_size=batch_size), num_examples(x))


def log_marginal_batches(
    vae: VAE,
    params: Params,
    key: Key,
    x: Any,
    *,
    num_samples: int,
    first: int = 0,
    batch_size: int | None = None,
    chunk_size: int | None = None,
) -> Iterator[LogMarginal]:
    """Batches of `log_marginal` on the host, for x `[n, …]` from example `first` on.

    Example i has the key `fold_in(key, i)`, so its estimate depends neither on `batch_size` nor on `first`. Without
    them batch and chunk are 100, or fewer where examples are large.
    """
    check_count("log_marginal_batches", "num_samples", num_samples)
    chunk_size = codes_at_once(x) if chunk_size is None else chunk_size
    check_count("log_marginal_batches", "chunk_size", chunk_size)
    batch_size = examples_at_once(x, min(chunk_size, num_samples)) if batch_size is None else batch_size
    check_count("log_marginal_batches", "batch_size", batch_size)
    compiled = _log_marginals(vae, num_samples, chunk_size)
    return in_batches(compiled, x, params, key, first=first, batch_size=batch_size)


@per_model
def _log_marginals(vae: VAE, num_samples: int, chunk_size: int) -> Callable[..., LogMarginal]:
    def estimate(params: Params, key: Key, i: Any, x: Any) -> LogMarginal:
        options = {"num_samples": num_samples, "chunk_size": chunk_size}
        return log_marginal(vae, params, jax.random.fold_in(key, i), x, **options)

    compiled = vectorised(estimate, shared=2)

    def estimates(*arguments: Any) -> LogMarginal:
        # k̂ is NaN where the weights have no tail: no fault that JAX_DEBUG_NANS should stop at.
        with jax.debug_nans(False):
            return compiled(*arguments)

    return estimates


def example_log_marginals(
    vae: VAE,
    params: Params,
    key: Key,
    x: Any,
    *,
    num_samples: int,
    batch_size: int | None = None,
    chunk_size: int | None = None,
) -> LogMarginal:
    """`log_marginal` of every example of `x` `[n, …]`: arrays `[n]`, nats. ValueError if there are no examples.

    A model is compiled once, and known again by its three functions: one of them that has changed since, as by a number
    that it reads, is seen in a new function alone.
    """
    options = {"num_samples": num_samples, "batch_size": batch_size, "chunk_size": chunk_size}
    return join(log_marginal_batches(vae, params, key, x, **options))


def join(parts: Iterable[Estimates], size: int | None = None) -> Estimates:
    """Join consecutive batches of estimates to arrays `[n, …]`. ValueError if there are none.

    `size`: n, where it is known. Each batch is then written to its place as it comes, and not held until the last one.
    """
    parts = iter(parts)
    part = next(parts, None)
    if part is None:
        raise ValueError("there are no examples to evaluate: the dataset is empty.")
    if size is None:
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), part, *parts)
    joined, first = jax.tree.map(lambda leaf: np.empty((size, *leaf.shape[1:]), leaf.dtype), part), 0
    while part is not None:
        for whole, leaf in zip(jax.tree.leaves(joined), jax.tree.leaves(part), strict=True):
            whole[first : first + len(leaf)] = leaf
        first, part = first + num_examples(part), next(parts, None)
    return joined


def mean_log_marginal(estimates: LogMarginal, *, num_samples: int) -> MeanLogMarginal:
    """The mean over `[n]` estimates, nats, with its two standard errors kept apart; `num_samples`: their k."""
    value = np.asarray(estimates.value, np.float64)
    n = len(value)
    pareto_k = np.asarray(estimates.pareto_k)
    pareto_k = pareto_k[~np.isnan(pareto_k)]
    return MeanLogMarginal(
        value=float(value.mean()),
        monte_carlo_error=math.sqrt(float(np.square(np.asarray(estimates.standard_error, np.float64)).sum())) / n,
        examples_error=float(standard_error(value)),
        ess=float(np.median(estimates.ess)),
        elbo=float(np.asarray(estimates.elbo, np.float64).mean()),
        unreliable=float(np.mean(pareto_k > 0.7)) if len(pareto_k) else math.nan,
        num_samples=num_samples,
        num_examples=n,
    )


def encode_dataset(vae: VAE, params: Params, x: Any, *, batch_size: int = 1000) -> Any:
    """q(z | x) of every example of `x` `[n, …]`: one distribution with leaves `[n, …]` in host memory."""
    return map_batches(lambda i, x: vae.encode(params, x), x, batch_size=batch_size)
