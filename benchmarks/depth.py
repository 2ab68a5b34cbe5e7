"""What a latent layer costs: time, memory and arithmetic of a gradient of `ladder_mnist`, by its number of layers.

    python benchmarks/depth.py

Batch 128, states of 256, layers of 32. The gradients of all depths alternate in one run, and the median of a depth is
printed with: the memory that XLA reserves beside inputs and outputs, for a whole batch and for `--accumulate 8`, and
XLA's own count of operations and of bytes moved.
"""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from program import images, training_data

from vae_jax.config import Compute
from vae_jax.config.files import load_config
from vae_jax.data.dataset import Dataset
from vae_jax.systems.vae import build

DEPTHS, ROUNDS, BATCH = (1, 2, 5, 10, 20, 40), 15, 128


def gradient(depth: int, parts: int, data: Dataset) -> tuple[Any, Any, int]:
    """The compiled gradient of a batch, its arguments, and how many parameters it has."""
    config = load_config("ladder_mnist")
    model = dataclasses.replace(config.model, latent_layers=(depth,))
    config = dataclasses.replace(config, model=model, compute=Compute(accumulate=parts))
    system = build(config, data)
    batch = jax.device_put(data.train.take(slice(BATCH)).batch())
    batch = data.prepare(jax.random.key(2), batch)
    params = system.init(jax.random.key(0), batch)
    loss = jax.value_and_grad(lambda params, key, batch: system.loss(params, key, batch, jnp.asarray(10_000))[0])
    arguments = params, jax.random.key(1), batch
    return jax.jit(loss).lower(*arguments).compile(), arguments, sum(leaf.size for leaf in jax.tree.leaves(params))


def main() -> None:
    data = training_data(images(2 * BATCH))
    programs = {depth: gradient(depth, 1, data) for depth in DEPTHS}
    times: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for _ in range(ROUNDS):
        for depth, (program, arguments, _) in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(program(*arguments))
            times[depth].append((time.perf_counter() - began) * 1e3)
    print("layers  parameters      ms   MB of a batch   of its eighths   Gflop   MB moved")
    for depth, (program, _, size) in programs.items():
        parts, _, _ = gradient(depth, 8, data)
        memory, eighth = (each.memory_analysis().temp_size_in_bytes / 1e6 for each in (program, parts))
        cost = program.cost_analysis()
        print(
            f"{depth:>6}  {size:>10,}  {np.median(times[depth][1:]):6.1f}  {memory:14.1f}  {eighth:15.1f}"
            f"  {cost['flops'] / 1e9:6.2f}  {cost['bytes accessed'] / 1e6:9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
