"""What a large β does to colour pictures: the reconstructions of β = 1 and of larger ones, one below the other.

    python benchmarks/beta_colour.py RUNS [--out docs/beta_colour.png]

Trains `colour_sprites`, at 32×32, for each β into RUNS what is not there yet, prints rate, distortion and log p(x) of
each, and draws test pictures above the means of p(x | z) at their mean codes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from founding_curves import trained

from vae_jax.commands.parse import opened
from vae_jax.pictures.decoded import decoded
from vae_jax.pictures.plots import show_images
from vae_jax.train.files import read_evaluation

BETAS = (1, 3, 8)
COLUMNS = 10
SMALL = ("--image-size", "32", "--hidden", "32", "64", "--epochs", "3")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/beta_colour.png"))
    arguments = parser.parse_args()
    rows, names = [], []
    for beta in BETAS:
        run = trained(["colour_sprites", *SMALL, "--beta", str(beta)], arguments.runs / f"colour-beta-{beta}")
        subject, found = opened(run), read_evaluation(run)
        assert found is not None
        x = subject.examples[:COLUMNS]
        if not rows:
            rows.append(np.asarray(x) / subject.run.dataset.most)
            names.append("data")
        means = np.stack([subject.coder.encode(subject.params, one).mean for one in x])
        rows.append(np.asarray(decoded(subject, means)))
        names.append(f"β = {beta}")
        print(
            f"β = {beta:<3} rate {found['rate']:7.2f}  distortion {found['distortion']:9.2f}  "
            f"log p(x) {found['log_marginal']:9.2f} ± {found['test_examples_error']:.2f} nats, k = {found['k']}"
        )
    title = "colour sprites: means of p(x | z) at the mean code"
    show_images(np.stack(rows), title=title, row_names=names, photographs=True).savefig(arguments.out, dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
