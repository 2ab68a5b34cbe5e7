"""A 3×3 convolution as `flax.linen.Conv` and as a matrix product over patches, inside and outside a compiled loop.

    python benchmarks/convolution.py

Forward and backward pass, batch 64, milliseconds a step; all in one run.
"""

import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.nets.conv import Conv3x3

SHAPES = [((4, 4, 4), 32), ((2, 2, 128), 64), ((14, 14, 4), 32), ((7, 7, 128), 64), ((7, 7, 64), 256)]
BATCH, STEPS = 64, 20


def milliseconds(run: Callable[[], Any]) -> float:
    jax.block_until_ready(run())
    start = time.perf_counter()
    jax.block_until_ready(run())
    return (time.perf_counter() - start) / STEPS * 1e3


def measure(module: nn.Module, shape: tuple[int, ...]) -> tuple[float, float]:
    x = jax.random.normal(jax.random.key(0), (BATCH, *shape))
    params = module.init(jax.random.key(1), x[0])

    def loss(params: Any, x: Any) -> Any:
        return jnp.mean(jnp.square(jax.vmap(lambda x: module.apply(params, x))(x)))  # pyright: ignore[reportArgumentType]

    def step(carry: Any) -> Any:
        gradient = jax.grad(loss, argnums=(0, 1))(*carry)
        return jax.tree.map(lambda value, slope: value - 0.01 * slope, carry, gradient)

    one = jax.jit(step)
    loop = jax.jit(lambda carry, steps: lax.fori_loop(0, steps, lambda _, carry: step(carry), carry))

    def outside() -> Any:
        carry = (params, x)
        for _ in range(STEPS):
            carry = one(carry)
        return carry

    return milliseconds(lambda: loop((params, x), STEPS)), milliseconds(outside)


def main() -> None:
    print(f"{'input':>14} {'out':>4} | {'Conv in loop':>13} {'alone':>7} | {'patches in loop':>15} {'alone':>7}")
    for shape, features in SHAPES:
        conv, patches = measure(nn.Conv(features, (3, 3)), shape), measure(Conv3x3(features), shape)
        print(f"{shape!s:>14} {features:>4} | {conv[0]:13.2f} {conv[1]:7.2f} | {patches[0]:15.2f} {patches[1]:7.2f}")


if __name__ == "__main__":
    main()
