"""What a freer posterior or prior is worth on MNIST: equal networks and budget, three seeds, k = 5000.

    python benchmarks/parts.py RUNS DATA_DIR [OUT.png]

Trains into RUNS what is not there yet (an interrupted run goes on), prints log p(x) of each arm and the paired
differences from a diagonal posterior with a standard normal prior, and draws the bound against the examples seen.
"""

import sys
from pathlib import Path

from founding_curves import trained
from rich.console import Console

from vae_jax.measure.comparison import curves, read_run
from vae_jax.pictures import plots
from vae_jax.report.compare import comparison

ARMS = {
    "base": ("diagonal posterior, N(0, I)", []),
    "iaf": ("4 layers of IAF", ["--posterior", "iaf", "--flow-hidden", "200"]),
    "vamp": ("VampPrior of 500", ["--prior", "vamp"]),
    "hier": ("two layers, 50 and 25", ["--upper-latent-sizes", "25"]),
}
COMMON = ["--epochs", "50", "--estimator", "stl", "--evaluation-size", "2000"]
SEEDS = range(3)


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    runs, data_dir = Path(sys.argv[1]), sys.argv[2]
    rows = {}
    for arm, (name, flags) in ARMS.items():
        rows[name] = []
        for seed in SEEDS:
            arguments = ["vae_mnist", *flags, *COMMON, "--seed", str(seed), "--data-dir", data_dir]
            rows[name].append(read_run(trained(arguments, runs / f"parts-{arm}-{seed}")))
    Console(width=100).print(comparison(rows))
    picture = plots.bound_curves({"one draw of z in training": curves(rows)})
    picture.savefig(sys.argv[3] if len(sys.argv) > 3 else "docs/parts.png", dpi=110)


if __name__ == "__main__":
    main()
