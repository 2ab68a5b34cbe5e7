"""Convolutions of stride 2 and their transposes: Flax's and the package's, inside and outside a compiled loop.

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

from vae_jax.nets.conv import Double, Halve
from vae_jax.train.precision import products_in

HALVED = [((28, 28, 1), 32), ((14, 14, 32), 64), ((64, 64, 3), 32), ((16, 16, 64), 128)]
DOUBLED = [((7, 7, 64), 32), ((14, 14, 32), 1), ((8, 8, 128), 64), ((32, 32, 32), 3)]
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
        # As a step of training has it.
        gradient = products_in("device", jax.grad(loss, argnums=(0, 1)))(*carry)
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
    print(f"{'':>8} {'input':>14} {'out':>4} | {'Flax in loop':>13} {'alone':>7} | {'ours in loop':>15} {'alone':>7}")
    for shapes, name in ((HALVED, "halve"), (DOUBLED, "double")):
        for shape, features in shapes:
            flax: nn.Module = nn.Conv(features, (4, 4), 2) if name == "halve" else _transposed(features)
            ours: nn.Module = Halve(features) if name == "halve" else Double(features)
            theirs, here = measure(flax, shape), measure(ours, shape)
            print(
                f"{name:>8} {shape!s:>14} {features:>4} | {theirs[0]:13.2f} {theirs[1]:7.2f} | "
                f"{here[0]:15.2f} {here[1]:7.2f}",
                flush=True,
            )


def _transposed(features: int) -> nn.Module:
    return nn.ConvTranspose(features, (4, 4), (2, 2))


if __name__ == "__main__":
    main()
