"""What each part of a hierarchy gives, at equal time: a row of log p(x) each.

    python benchmarks/hierarchies.py RUNS [--minutes 20] [--rows NAME …] [--images N] [--dataset mnist] [--data-dir DIR]

Two epochs of each row say how many fit the minutes; then a run of so many is trained, its schedule cut to that length,
and measured on the test split. Prints for each row epochs, log p(x), and its difference from the first row in nats per
example, paired, with the standard error over examples. Runs that are there already are not trained again.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from founding_curves import trained

from vae_jax.cli import main as vae_jax
from vae_jax.core.arrays import read_arrays
from vae_jax.train.files import evaluation_file, read_evaluation, read_metrics

# What the rows share: one recipe, k = 100 for all, so that they differ in what their names say.
RECIPE = (
    *("--batch-size", "128", "--learning-rate", "1e-3", "--schedule", "cosine", "--activation", "silu"),
    *("--average-decay", "0.999", "--evaluation-samples", "5", "--validation-size", "0"),
)
ONE_LAYER = ("vae_mnist", "--snapshots", "1", "--warmup-steps", "500", "--beta-warmup", "0.1")
ROWS = {
    "five layers along a path": ("ladder_mnist",),
    "one layer": (*ONE_LAYER, "--hidden", "256", "256", "--latent-size", "32"),
    "two layers, a chain": (
        *(*ONE_LAYER, "--hidden", "256", "256", "--latent-size", "32", "--upper-latent-sizes", "32"),
        # Without it a scale of p(z1 | z2) became so small that log p(z) was NaN.
        *("--upper-hidden", "256", "256", "--estimator", "sampled", "--clip-norm", "10"),
    ),
    "two along the path": ("ladder_mnist", "--latent-layers", "2"),
    "ten along the path": ("ladder_mnist", "--latent-layers", "10"),
    "without warm-up of the KL": ("ladder_mnist", "--beta-warmup", "0"),
    "half a nat free in each layer": ("ladder_mnist", "--free-bits", "0.5"),
    "without averaging": ("ladder_mnist", "--average-decay", "None"),
    "a flow on the highest layer": ("ladder_mnist", "--posterior", "iaf", "--estimator", "sampled"),
    "singular values pressed down": ("ladder_mnist", "--spectral-weight", "0.01"),
    "products in bfloat16": ("ladder_mnist", "--precision", "bfloat16"),
    "k = 5 in the last third": (
        *("ladder_mnist", "--bound", "iwae", "--estimator", "total", "--beta-warmup", "0"),
        *("--grow-to", "5", "--grow-at", "0.67"),
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--images", type=int, help="the first so many of the test split; by default all")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir")
    arguments = parser.parse_args()
    source = ["--dataset", arguments.dataset, *(["--data-dir", arguments.data_dir] if arguments.data_dir else [])]
    source += ["--evaluation-size", str(arguments.images)] if arguments.images else []
    first = None
    commands, folders = {}, {}
    for name in arguments.rows:
        config, *changes = ROWS[name]
        # What a row says stands after what all share, and wins.
        commands[name] = [config, *RECIPE, *changes, *source]
        folders[name] = arguments.runs / name.replace(" ", "_").replace(",", "")
    # All first: an epoch that is timed minutes later may meet another machine.
    seconds = {name: seconds_of_an_epoch(commands[name], folders[name].with_suffix(".timed")) for name in commands}
    for name in arguments.rows:
        epochs = max(2, int(60.0 * arguments.minutes / seconds[name]))
        run = trained([*commands[name], "--epochs", str(epochs)], folders[name])
        # A training measures with few samples, or more where they are not enough; the rows, with as many.
        if read_evaluation(run)["k"] != 100 and vae_jax(["evaluate", str(run), "--k", "100", "--gaps", "0"]) != 0:
            raise SystemExit(f"vae-jax evaluate {run} failed")
        found = read_evaluation(run)
        log_p = read_arrays(evaluation_file(run, ending=".npz"))["value"]
        first = log_p if first is None else first
        difference = log_p - first
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        print(
            f"{name:<32} {epochs:>5} epochs   {found['log_marginal']:8.2f} ± {found['test_examples_error']:.2f} nats, "
            f"k = {found['k']}   {difference.mean():+6.2f} ± {error:.2f}",
            flush=True,
        )
    return 0


def seconds_of_an_epoch(command: list[str], folder: Path) -> float:
    """How long the second epoch of a run took, which compiles nothing."""
    lines = read_metrics(trained([*command, "--epochs", "2", "--evaluation-size", "100"], folder))
    return lines[1]["seconds"] - lines[0]["seconds"]


if __name__ == "__main__":
    sys.exit(main())
