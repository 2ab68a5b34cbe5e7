"""Log-weights of any library: log p(x) with its errors, and whether k was enough."""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.types import Array
from vae_jax.evaluate.likelihood import LogMarginal
from vae_jax.evaluate.pareto import pareto_k, tail_size


def weighed(log_weights: Array) -> LogMarginal:
    """log p(x) of n examples from their log-weights `[n, k]`, log p(x, z_i) − log q(z_i | x), nats: leaves `[n]`.

    The same as `log_marginal` of a model, for weights that are there already. −inf is a weight of 0. ValueError for
    other shapes, for NaN and +inf, and where all weights of an example are 0.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    log_w = np.asarray(log_weights, np.float64)
    if log_w.ndim != 2 or not log_w.size:
        raise ValueError(f"log-weights must have shape (n, k), one row for each example, got {log_w.shape}.")
    bad = np.flatnonzero((np.isnan(log_w) | (log_w == np.inf)).any(axis=1))
    if len(bad):
        raise ValueError(f"{len(bad)} of {len(log_w)} rows hold NaN or +inf, row {bad[0]} the first.")
    zero = np.flatnonzero((log_w == -np.inf).all(axis=1))
    if len(zero):
        raise ValueError(f"{len(zero)} of {len(log_w)} rows hold nothing but weights of 0, row {zero[0]} the first.")
    k = log_w.shape[1]
    # Relative to the largest of an example, no weight overflows.
    most = log_w.max(axis=1)
    w = np.exp(log_w - most[:, None])
    log_sum = most + np.log(w.sum(axis=1))
    ess = np.clip(np.square(w.sum(axis=1)) / np.square(w).sum(axis=1), 1.0, k)
    tail = tail_size(k)
    largest = np.sort(log_w, axis=1)[:, -(tail + 1) :] - most[:, None]
    shape = jax.jit(jax.vmap(pareto_k))(jnp.asarray(largest, jnp.float32)) if tail else np.full(len(log_w), np.nan)
    return LogMarginal(
        value=jnp.asarray(log_sum - np.log(k)),
        standard_error=jnp.asarray(np.sqrt((k / ess - 1.0) / (k - 1.0)) if k > 1 else np.full(len(log_w), np.inf)),
        ess=jnp.asarray(ess),
        elbo=jnp.asarray(log_w.mean(axis=1)),
        pareto_k=jnp.asarray(shape),
    )
