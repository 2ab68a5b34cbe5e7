"""The nearest code of each vector against the matrix product that it needs, and against a plain argmin.

    python benchmarks/nearest.py [REPEATS]

Vectors of 128 images of 7x7 codes, codebooks of 512, several sizes of a code. Times of one process, taken in turns, the
least of each.
"""

import sys
import time
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.objectives.quantise import nearest_index

VECTORS, CODES = 128 * 49, 512


def product(codebook: Any, z: Any) -> Any:
    return z @ codebook.T


def plain(codebook: Any, z: Any) -> Any:
    half_norms = 0.5 * jnp.sum(jnp.square(codebook), axis=1)
    return jnp.argmin(half_norms[None] - z @ codebook.T, axis=1)


def main(repeats: int) -> None:
    print("| d | product, ms | nearest code | plain argmin |\n|---|---|---|---|")
    for size in (16, 64, 256):
        codebook = jax.random.normal(jax.random.key(0), (CODES, size))
        z = jax.random.normal(jax.random.key(1), (VECTORS, size))
        compiled = [jax.jit(function) for function in (product, nearest_index, plain)]
        assert (compiled[1](codebook, z) == compiled[2](codebook, z)).all()
        best = [float("inf")] * 3
        for _ in range(repeats):
            for i, function in enumerate(compiled):
                began = time.perf_counter()
                jax.block_until_ready(function(codebook, z))
                best[i] = min(best[i], time.perf_counter() - began)
        print(f"| {size} | {best[0] * 1e3:.2f} | {best[1] / best[0]:.2f} | {best[2] / best[0]:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
