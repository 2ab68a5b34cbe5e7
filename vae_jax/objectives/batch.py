"""Terms that need a whole batch: free bits, capacity, GECO, and the bound of a whole dataset."""

import jax.numpy as jnp

from vae_jax.core.checks import check_count
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array


def free_bits(kl: Array, *, least: float | Array) -> Array:
    """`Σ_g max(least, mean_B kl[:, g])`: no group of dimensions is pressed below `least` nats on average.

    `kl`: `[B, groups]`, nats: `Terms.kl` under `vmap`, one group a dimension, or sums of several. The maximum is with
    the mean over the batch, so this is a term of a batch, not of an example. ValueError for another shape.

    Source: Improved Variational Inference with Inverse Autoregressive Flow, arXiv 1606.04934, eq. 15.
    """
    if jnp.ndim(kl) != 2:
        raise ValueError(
            f"free_bits: kl must have shape (B, groups), got {jnp.shape(kl)}. For one group: "
            "kl.reshape(len(kl), -1).sum(1, keepdims=True)."
        )
    return jnp.sum(jnp.maximum(jnp.mean(kl, axis=0), least))


def capacity(kl: Array, *, target: float | Array) -> Array:
    """`|mean_B kl − target|`, to be minimised: it holds the rate at `target` nats, which rises during training.

    `kl`: `[B]`, nats. ValueError for another shape. Source: Understanding disentangling in beta-VAE, arXiv 1804.03599.
    """
    if jnp.ndim(kl) != 1:
        raise ValueError(f"capacity: kl must have shape (B,), got {jnp.shape(kl)}.")
    return jnp.abs(jnp.mean(kl) - target)


def geco(kl: Array, distortion: Array, log_multiplier: Array, *, most: float | Array) -> Array:
    """A loss for the least rate whose distortion is at most `most`; it learns the weight of the distortion.

    `kl`, `distortion` = −log p(x | z): `[B]`, nats. `log_multiplier`, a parameter, rises under gradient descent while
    the mean distortion is above `most`, and falls while it is below. The model's parameters have the gradient of
    `mean kl + exp(log_multiplier) · (mean distortion − most)`. At the solution exp(−log_multiplier) is the β of a
    β-VAE that has this distortion. First derivatives only. ValueError unless both have the shape (B,).

    Source: Taming VAEs, arXiv 1810.00597.
    """
    if jnp.ndim(kl) != 1 or jnp.shape(kl) != jnp.shape(distortion):
        raise ValueError(f"geco: kl and distortion must have shape (B,), got {jnp.shape(kl)}, {jnp.shape(distortion)}.")
    excess = jnp.mean(distortion) - most
    return jnp.mean(kl) + freeze(jnp.exp(log_multiplier)) * excess - _slope_only(log_multiplier, excess)


def _slope_only(value: Array, slope: Array) -> Array:
    """Zero, with the gradient `slope` in `value`."""
    return freeze(slope) * (value - freeze(value))


def full_data_bound(bounds: Array, *, dataset_size: int) -> Array:
    """`N/M Σ_m bounds[m]`: an unbiased estimate of the sum over N examples from the `bounds` `[M]` of a minibatch.

    A scalar in nats. ValueError for another shape. Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, eq. 8.
    """
    if jnp.ndim(bounds) != 1:
        raise ValueError(f"full_data_bound: bounds must have shape (M,), got {jnp.shape(bounds)}.")
    check_count("full_data_bound", "dataset_size", dataset_size)
    return dataset_size * jnp.mean(bounds)
