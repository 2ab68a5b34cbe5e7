"""The maximum mean discrepancy of two samples, and the kernels that autoencoders measure their codes with.

A Kernel Two-Sample Test (Gretton et al., JMLR 13, 2012); InfoVAE, arXiv 1706.02262; Wasserstein Auto-Encoders,
arXiv 1711.01558.
"""

from collections.abc import Callable

import jax.numpy as jnp

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array

# Of squared distances: `kernel(squared [n, m], size) -> [n, m]`, `size` the dimension of a code.
Kernel = Callable[[Array, int], Array]


def rbf(squared: Array, size: int) -> Array:
    """`exp(−‖a − b‖² / 2d)`: as wide as codes of N(0, I) in d dimensions are apart on average."""
    return jnp.exp(-squared / (2.0 * size))


def imq(squared: Array, size: int) -> Array:
    """Mean over scales s of `C / (C + ‖a − b‖²)`, C = 2 d s, s from 0.1 to 10: heavier tails, so a gradient from afar.

    Source: Wasserstein Auto-Encoders, arXiv 1711.01558.
    """
    scales = [2.0 * size * scale for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return sum((scale / (scale + squared) for scale in scales), start=jnp.zeros(())) / len(scales)


def mmd(a: Array, b: Array, kernel: Kernel = rbf) -> Array:
    """MMD² of the distributions behind two samples `a` `[n, d]` and `b` `[m, d]`: a scalar, unbiased.

    `mean_{i≠j} k(a_i, a_j) + mean_{i≠j} k(b_i, b_j) − 2 mean_{i,j} k(a_i, b_j)`. Zero in expectation where they are
    the same (so it may be negative), and then of standard deviation O(1/n). ValueError for fewer than two of either,
    or codes of different size.
    """
    for name, codes in (("a", a), ("b", b)):
        if jnp.ndim(codes) != 2 or jnp.shape(codes)[0] < 2:
            raise ValueError(
                f"mmd: {name} must have shape (n, d) with n >= 2, got {jnp.shape(codes)}: a discrepancy needs a batch."
            )
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"mmd: both samples must have codes of the same size, got {a.shape[1]} and {b.shape[1]}.")
    size = a.shape[1]
    return _within(a, kernel, size) + _within(b, kernel, size) - 2.0 * jnp.mean(kernel(_squared(a, b), size))


def _squared(a: Array, b: Array) -> Array:
    """`[n, m]` squared distances; the cancellation of the expanded square may fall below zero."""
    # Any centre gives the same; far from it the squares would lose the digits of their difference.
    centre = freeze(0.5 * (jnp.mean(a, axis=0) + jnp.mean(b, axis=0)))[None]
    a, b = a - centre, b - centre
    products = jnp.matmul(a, b.T)
    norms = jnp.sum(jnp.square(a), axis=1)[:, None] + jnp.sum(jnp.square(b), axis=1)[None, :]
    return jnp.maximum(norms - 2.0 * products, 0.0)


def _within(a: Array, kernel: Kernel, size: int) -> Array:
    n = a.shape[0]
    every = kernel(_squared(a, a), size)
    # The diagonal by its own values: the rounding of a distance to itself must not enter.
    return (jnp.sum(every) - jnp.sum(jnp.diagonal(every))) / (n * (n - 1))
