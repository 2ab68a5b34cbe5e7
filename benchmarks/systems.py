"""One table of all systems: equal networks and budget, several seeds, MNIST and Fashion-MNIST.

    python benchmarks/systems.py RUNS DATA_DIR [--datasets mnist fashion_mnist] [--seeds 3] [--configs autoencoder …]

Trains into RUNS what is not there yet (an interrupted run goes on), measures each, and prints the table as Markdown:
means over the seeds with their standard error. A dash is what a system does not define.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from founding_curves import trained

from vae_jax.cli import main as vae_jax

CONFIGS = (
    *("autoencoder", "sparse_autoencoder", "denoising_autoencoder", "contractive_autoencoder"),
    *("vae", "beta_vae", "capacity_vae", "geco_vae"),
    *("info_vae", "mmd_vae", "wae", "adversarial_autoencoder", "conditional_vae", "discriminative_vae"),
)
# A column: its title, the field of evaluation.json, its format.
COLUMNS = (
    ("log p(x)", "log_marginal", ".2f"),
    ("ELBO", "elbo", ".2f"),
    ("rate", "rate", ".1f"),
    ("index code", "index_code", ".2f"),
    ("active units", "active_units", ".0f"),
    ("squared error", "reconstruction_error", ".4f"),
    ("linear probe", "probe_accuracy", ".1%"),
)
# A constraint in nats is of one dataset: here two below the distortion of the VAE on validation images, as 80 on MNIST.
CHANGES = {("geco_vae", "fashion_mnist"): ["--most-distortion", "225"]}
# The config of this one has convolutions.
EQUAL = {"discriminative_vae": ["--network", "mlp", "--hidden", "200", "200", "--activation", "relu"]}
# What is measured of the test split: k and the number of images.
K, IMAGES = 500, 2000


def measured(config: str, dataset: str, seed: int, runs: Path, data_dir: Path) -> dict[str, Any]:
    directory = runs / f"{config}-{dataset}-{seed}"
    arguments = [config, "--dataset", dataset, "--seed", str(seed), "--data-dir", str(data_dir)]
    arguments += EQUAL.get(config, []) + CHANGES.get((config, dataset), [])
    arguments += ["--evaluation-samples", str(K), "--evaluation-size", str(IMAGES)]
    trained(arguments, directory)
    result = json.loads((directory / "evaluation.json").read_text())
    # A training may end with a larger k than it was told, where that was not enough.
    if "log_marginal" in result and ("index_code" not in result or result["k"] != K):
        if vae_jax(["evaluate", str(directory), "--k", str(K), "--gaps", "0"]) != 0:
            raise SystemExit(f"vae-jax evaluate {directory} failed")
        result = json.loads((directory / "evaluation.json").read_text())
    return result


def cell(results: list[dict[str, Any]], field: str, form: str) -> str:
    """Mean ± standard error over seeds; active units of several layers are summed."""
    if any(result.get(field) is None for result in results):
        return "–"
    values = np.asarray([np.sum(result[field]) for result in results], np.float64)
    mean = format(float(values.mean()), form)
    if len(values) == 1:
        return mean
    return f"{mean} ± {format(float(values.std(ddof=1)) / math.sqrt(len(values)), form)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--datasets", nargs="+", default=["mnist", "fashion_mnist"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS))
    options = parser.parse_args()
    for dataset in options.datasets:
        print(f"\n{dataset}, {options.seeds} seeds, {IMAGES} test images, k = {K}\n")
        print("| config | " + " | ".join(title for title, _, _ in COLUMNS) + " |")
        print("|---|" + "---|" * len(COLUMNS))
        for config in options.configs:
            seeds = range(options.seeds)
            results = [measured(config, dataset, seed, options.runs, options.data_dir) for seed in seeds]
            print(f"| `{config}` | " + " | ".join(cell(results, field, form) for _, field, form in COLUMNS) + " |")


if __name__ == "__main__":
    main()
