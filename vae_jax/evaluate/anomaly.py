"""Anomaly detection: a score of one example, and a threshold that bounds the rate of false alarms."""

import math

import jax.numpy as jnp

from vae_jax.core.checks import check_array
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.evaluate.likelihood import log_marginal
from vae_jax.models.vae import VAE


def anomaly_score(
    vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int = 100, chunk_size: int = 100
) -> Array:
    """`−log p(x)` of one example, importance-sampled with `num_samples` draws: a scalar in nats, high for anomalies.

    ∞ for one so far from all that was learned that float32 does not tell how far. ValueError for a batch. Source:
    Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    score = -log_marginal(vae, params, key, x, num_samples=num_samples, chunk_size=chunk_size).value
    return jnp.where(jnp.isnan(score), jnp.inf, score)


def anomaly_threshold(scores: Array, *, false_alarms: float) -> Array:
    """The score above which a new ordinary example falls with probability at most `false_alarms`.

    `scores`: `[n]` of ordinary examples that the model was NOT trained on. The threshold is the ⌈(n+1)(1−α)⌉-th
    smallest of them, α = `false_alarms` (split conformal prediction). The bound holds for any model and any n, over the
    draw of the scores and the new example. ValueError unless n + 1 >= 1 / α.

    Source: Distribution-Free Predictive Inference for Regression, arXiv 1604.04173.
    """
    check_array("anomaly_threshold", "scores", scores, rank=1)
    check_array("anomaly_threshold", "false_alarms", false_alarms, rank=0)
    if not 0.0 < false_alarms < 1.0:
        raise ValueError(f"anomaly_threshold: false_alarms must be between 0 and 1, got {false_alarms}.")
    size = scores.shape[0]
    # In floats 10 · 0.9 may be a hair above 9.
    rank = math.ceil(round((size + 1) * (1.0 - false_alarms), 9))
    if rank > size:
        raise ValueError(
            f"anomaly_threshold: {size} scores cannot bound a rate of {false_alarms}; it needs at least "
            f"{math.ceil(1.0 / false_alarms) - 1}."
        )
    return jnp.sort(scores)[rank - 1]
