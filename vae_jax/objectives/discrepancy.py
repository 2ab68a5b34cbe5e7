"""The maximum mean discrepancy (MMD) between two samples of codes, and its kernels."""

from collections.abc import Callable

import jax.numpy as jnp

from vae_jax.core.checks import check_array
from vae_jax.core.trees import freeze
from vae_jax.core.types import Array

# `kernel(squared distances [n, m], size) -> [n, m]`, where `size` is the dimension of a code.
Kernel = Callable[[Array, int], Array]


def rbf(squared: Array, size: int) -> Array:
    """`exp(−‖a − b‖² / 2d)`: 2d is the mean squared distance between two draws of N(0, I) in d dimensions."""
    return jnp.exp(-squared / (2.0 * size))


def imq(squared: Array, size: int) -> Array:
    """Mean over s from 0.1 to 10 of `C / (C + ‖a − b‖²)`, C = 2 d s: its heavy tails give distant codes a gradient.

    Source: Wasserstein Auto-Encoders, arXiv 1711.01558.
    """
    scales = [2.0 * size * scale for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return sum((scale / (scale + squared) for scale in scales), start=jnp.zeros(())) / len(scales)


def mmd(a: Array, b: Array, kernel: Kernel = rbf) -> Array:
    """MMD² of the distributions behind two samples `a` `[n, d]` and `b` `[m, d]`: a scalar, unbiased.

    `mean_{i≠j} k(a_i, a_j) + mean_{i≠j} k(b_i, b_j) − 2 mean_{i,j} k(a_i, b_j)`. Where both distributions are the
    same its expectation is 0 and its standard deviation O(1/n), so it may be negative. ValueError for fewer than two
    codes in a sample, or codes of different size.

    Source: A Kernel Two-Sample Test (Gretton et al., JMLR 13, 2012); in autoencoders: InfoVAE, arXiv
    1706.02262; Wasserstein Auto-Encoders, arXiv 1711.01558.
    """
    for name, codes in (("a", a), ("b", b)):
        check_array("mmd", name, codes)
        if jnp.ndim(codes) != 2 or jnp.shape(codes)[0] < 2:
            raise ValueError(
                f"mmd: {name} must have shape (n, d) with n >= 2, got {jnp.shape(codes)}: a discrepancy needs a batch."
            )
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"mmd: both samples must have codes of the same size, got {a.shape[1]} and {b.shape[1]}.")
    size = a.shape[1]
    return _within(a, kernel, size) + _within(b, kernel, size) - 2.0 * jnp.mean(kernel(_squared(a, b), size))


def _squared(a: Array, b: Array) -> Array:
    """Squared distances `[n, m]`; rounding of the expanded square may give less than zero, which is cut off."""
    # Any centre gives the same; far from it the squares would lose the digits of their difference.
    centre = freeze(0.5 * (jnp.mean(a, axis=0) + jnp.mean(b, axis=0)))[None]
    a, b = a - centre, b - centre
    products = jnp.matmul(a, b.T)
    norms = jnp.sum(jnp.square(a), axis=1)[:, None] + jnp.sum(jnp.square(b), axis=1)[None, :]
    return jnp.maximum(norms - 2.0 * products, 0.0)


def _within(a: Array, kernel: Kernel, size: int) -> Array:
    n = a.shape[0]
    kernels = kernel(_squared(a, a), size)
    # Subtract the computed diagonal, not n: the distance of a code to itself may be rounded to more than 0.
    return (jnp.sum(kernels) - jnp.sum(jnp.diagonal(kernels))) / (n * (n - 1))
