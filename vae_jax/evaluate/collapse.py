"""Which latent dimensions a model uses."""

import jax.numpy as jnp

from vae_jax.distributions import Array


def active_units(means: Array, *, threshold: float = 0.01) -> Array:
    """`[d]` booleans: whether the posterior mean of a dimension varies over the data by more than `threshold`.

    `means`: E_q[z | x] of n examples, `[n, d]`. Needs n >= 2 (ValueError).

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    if jnp.ndim(means) != 2 or means.shape[0] < 2:
        raise ValueError(f"active_units: means must have shape (n, d) with n >= 2, got {jnp.shape(means)}.")
    return jnp.var(means, axis=0, ddof=1) > threshold
