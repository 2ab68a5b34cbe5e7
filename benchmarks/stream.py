"""An epoch of MNIST's size with its examples on the device, and streamed from the host.

    python benchmarks/stream.py

784-200-200-50, batch 128, 60,000 random images of MNIST's shape. Epochs of the two alternate in one run, and the ratio
is the median of those of neighbours.
"""

import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from epoch import STEPS
from program import images

from vae_jax.config import Compute, Data, Experiment, Model
from vae_jax.config.fields import Train
from vae_jax.data.dataset import Dataset, Split
from vae_jax.train.run import assembled

EPOCHS = 7


def main() -> None:
    x = images()
    few = Split(x[:100], None)
    dataset = Dataset("random", Split(x, None), few, few, levels=255, binarisation="dynamic", seed=0)
    model, train = Model(hidden=(200, 200), latent_size=50), Train(batch_size=128)
    advance, states, seconds = {}, {}, {"stored": [], "streamed": []}
    with tempfile.TemporaryDirectory() as folder:
        for name in seconds:
            compute = Compute(stream=name == "streamed")
            config = Experiment("a benchmark", Data("random"), model, train=train, compute=compute)
            run = assembled(config, Path(folder), dataset)
            advance[name], states[name] = run.advance(), run.initial().train
        for epoch in range(1, EPOCHS + 2):
            for name, times in seconds.items():
                began = time.perf_counter()
                states[name] = jax.block_until_ready(advance[name](states[name], epoch * STEPS))
                times.append(time.perf_counter() - began)
    # The first epoch of each holds the compilation.
    ratios = np.asarray(seconds["streamed"][1:]) / np.asarray(seconds["stored"][1:])
    for name, times in seconds.items():
        print(f"{name:8}  {np.median(times[1:]):.2f} s an epoch  ({', '.join(f'{t:.2f}' for t in times[1:])})")
    print(f"streamed / stored: {np.median(ratios):.3f} ({ratios.min():.2f} to {ratios.max():.2f})")


if __name__ == "__main__":
    main()
