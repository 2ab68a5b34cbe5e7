"""How fast a model draws images, beside how likely it finds real ones: a VAE against one that writes pixel by pixel.

    vae-jax train digits --out runs/flat
    vae-jax train digits --network conv --hidden 16 32 --autoregressive-layers 4 --out runs/pixels
    python benchmarks/synthesis.py runs/flat runs/pixels [--count 256]

Prints for each run its test log p(x) as it was measured, and how many images it draws in a second, a batch of `count`
compiled at once: seven times, one run after the other in turn, the median and the range of the ratio to the first.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae_jax.commands.parse import opened_model
from vae_jax.train.files import read_evaluation

ROUNDS = 7


def drawer(subject: Any, count: int) -> Any:
    """`seed -> count` images, compiled."""
    vae, params = subject.density, subject.params

    def one(key: jax.Array) -> jax.Array:
        z_key, x_key = jax.random.split(key)
        return vae.decode(params, vae.prior(params).sample(z_key)).sample(x_key)

    drawn = jax.jit(lambda seed: jax.vmap(one)(jax.random.split(jax.random.key(seed), count)))
    jax.block_until_ready(drawn(0))
    return drawn


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--count", type=int, default=256)
    arguments = parser.parse_args()
    subjects = [opened_model(run) for run in arguments.runs]
    drawers = [drawer(subject, arguments.count) for subject in subjects]
    seconds = np.zeros((ROUNDS, len(drawers)))
    for i in range(ROUNDS):
        for j, drawn in enumerate(drawers):
            start = time.perf_counter()
            jax.block_until_ready(drawn(i + 1))
            seconds[i, j] = time.perf_counter() - start
    ratios = seconds[:, :1] / seconds
    for j, run in enumerate(arguments.runs):
        found = read_evaluation(run) or {}
        told = "not measured"
        if "log_marginal" in found:
            told = f"{found['log_marginal']:.2f} ± {found['test_examples_error']:.2f} nats, k = {found['k']}"
        rate, ratio = arguments.count / np.median(seconds[:, j]), ratios[:, j]
        print(
            f"{run.name:16} log p(x) {told:34} {rate:10.0f} images/s   {np.median(ratio):.4f} of the first "
            f"({ratio.min():.4f} to {ratio.max():.4f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
