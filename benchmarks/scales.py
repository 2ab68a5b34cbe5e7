"""A table whose columns have scales from 0.01 to 1,000: log p(x) in their own units against the full covariance.

    python benchmarks/scales.py RUNS

Draws 5,000 training and 1,000 test rows of a normal with six columns, trains the config `table` on them into RUNS (what
is not there yet) as real numbers and as columns of their own families, and prints log p(x) of the test rows beside that
of a normal with the full covariance of the training rows, and of one normal for each column.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats
from founding_curves import trained

import vae_jax as vj

SCALES = np.array([0.01, 0.1, 1.0, 10.0, 100.0, 1000.0])
TRAIN, TEST = 5000, 1000


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    runs = Path(sys.argv[1])
    runs.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    mixing = random.normal(size=(6, 6))
    x = (random.normal(size=(TRAIN + TEST, 6)) @ mixing) * SCALES + 5.0 * SCALES
    train, test = x[:TRAIN], x[TRAIN:]
    np.savez(runs / "scales.npz", x=train, x_test=test)
    covariance: Any = np.cov(train.T)
    full = scipy.stats.multivariate_normal(train.mean(0), covariance).logpdf(test).mean()
    alone = scipy.stats.norm.logpdf(test, train.mean(0), train.std(0)).sum(axis=1).mean()
    print(f"full covariance {full:.2f}, one normal for each column {alone:.2f} nats per row")
    for likelihood in ("normal", "columns"):
        directory = runs / f"scales-{likelihood}"
        flags = ["--likelihood", likelihood, "--latent-size", "6", "--epochs", "60"]
        trained(["table", "--dataset", str(runs / "scales.npz"), *flags], directory)
        found = vj.open_run(directory).evaluate(k=1000)
        print(f"{likelihood:8} {found['log_marginal']:.2f} nats, k = 1000, {found['certainty']}")


if __name__ == "__main__":
    main()
