"""What products in fewer digits cost and save: a step on MNIST's shape, and the bound that is reached.

    python benchmarks/precision.py [RUNS DATA_DIR]

Steps in float32 and in bfloat16 alternate in one run: of 784-200-200-50 with k = 1 and a batch of 128, and with IWAE,
DReG, k = 50 and a batch of 100; of the five layers of `ladder_mnist` by Adam and by Muon, a batch of 256. With RUNS
and DATA_DIR a run in each trains on MNIST too (25 epochs of `vae_mnist`, one seed, some minutes each), and the
difference of their test log p(x), k = 200, is printed with its standard error over the images.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import optax
from founding_curves import trained
from program import images, milliseconds, program, training_data

from vae_jax.config import Data, Experiment, Model, Objective
from vae_jax.config.compute import Precision
from vae_jax.config.files import load_config
from vae_jax.core.arrays import read_arrays

ARMS: tuple[Precision, ...] = ("device", "bfloat16")
ROUNDS, EPOCHS, SAMPLES = 7, 25, 200
MODEL = Model(hidden=(200, 200), latent_size=50)
IWAE = Objective(bound="iwae", estimator="dreg", num_samples=50)
LADDER = load_config("ladder_mnist")
TASKS = {
    "k = 1, batch 128": (Experiment("", Data("random"), MODEL), None, 128, 200),
    "k = 50, batch 100": (Experiment("", Data("random"), MODEL, IWAE), None, 100, 20),
    "ladder, Adam, batch 256": (LADDER, None, 256, 20),
    "ladder, Muon, batch 256": (LADDER, optax.contrib.muon(1e-2), 256, 5),
}


def speed() -> None:
    data = training_data(images())
    for name, (config, optimizer, batch_size, steps) in TASKS.items():
        options: dict[str, Any] = {"batch_size": batch_size, "optimizer": optimizer}
        programs = {precision: program(config, data, precision=precision, **options) for precision in ARMS}
        times = milliseconds(programs, rounds=ROUNDS, steps=steps)
        ratios = times["device"] / times["bfloat16"]
        listed = ", ".join(f"{precision} {np.median(each):.2f} ms" for precision, each in times.items())
        print(f"{name}: {listed}; device / bfloat16 {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})")


def bound(runs: Path, data_dir: str) -> None:
    values = {}
    for precision in ARMS:
        arguments = ["vae_mnist", "--epochs", str(EPOCHS), "--precision", precision, "--data-dir", data_dir]
        arguments += ["--evaluation-samples", str(SAMPLES)]
        directory = trained(arguments, runs / f"precision-{precision}")
        values[precision] = np.asarray(read_arrays(directory / "evaluation.npz")["value"], np.float64)
        print(f"{precision}: test log p(x) {values[precision].mean():.3f} nats")
    difference = values["bfloat16"] - values["device"]
    error = difference.std(ddof=1) / len(difference) ** 0.5
    print(f"bfloat16 - device: {difference.mean():+.3f} nats, +- {error:.3f} from the {len(difference)} test images")


if __name__ == "__main__":
    speed()
    if len(sys.argv) > 2:
        bound(Path(sys.argv[1]), sys.argv[2])
