"""The figure of Auto-Encoding Variational Bayes (arXiv 1312.6114), from runs of `aevb` and `aevb_frey`.

    python benchmarks/founding_curves.py RUNS DATA_DIR [OUT.png]

Trains into RUNS what is not there yet (an interrupted run goes on), then draws the bound against the examples seen: for
several sizes of z on MNIST and on the Frey faces, and for estimators A and B with L = 1 and 5 draws of z.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from vae_jax.cli import main as vae_jax
from vae_jax.measure.comparison import curves, read_run
from vae_jax.pictures import plots

MNIST_EPOCHS, FREY_EPOCHS = "12", "300"


class Variant(NamedTuple):
    """A run: `config`, its epochs, the folder of its data, and the fields in which the curves differ."""

    config: str
    epochs: str
    data_dir: Path
    latent_size: int
    estimator: str = "analytic"
    num_samples: int = 1

    @property
    def arguments(self) -> list[str]:
        options = {"epochs": self.epochs, "data-dir": str(self.data_dir), "latent-size": str(self.latent_size)}
        options |= {"estimator": self.estimator, "num-samples": str(self.num_samples)}
        return [self.config, *(part for name, value in options.items() for part in (f"--{name}", value))]

    @property
    def name(self) -> str:
        return f"{self.config}-z{self.latent_size}-{self.estimator}-L{self.num_samples}"


def variants(data_dir: Path) -> dict[str, dict[str, Variant]]:
    """For every panel its curves."""
    mnist = Variant("aevb", MNIST_EPOCHS, data_dir / "tfds", 20)
    frey = Variant("aevb_frey", FREY_EPOCHS, data_dir, 10)
    return {
        "MNIST, estimator B, L = 1": {f"z of {n}": mnist._replace(latent_size=n) for n in (3, 5, 10, 20, 200)},
        "Frey faces, estimator B, L = 1": {f"z of {n}": frey._replace(latent_size=n) for n in (2, 5, 10, 20)},
        "MNIST, z of 20": {
            f"estimator {letter}, L = {draws}": mnist._replace(estimator=name, num_samples=draws)
            for letter, name in (("A", "total"), ("B", "analytic"))
            for draws in (1, 5)
        },
    }


def trained(arguments: list[str], directory: Path) -> Path:
    """The directory of a finished run of these arguments."""
    started = (directory / "config.json").is_file()
    command = ["resume", str(directory)] if started else ["train", *arguments, "--out", str(directory)]
    if vae_jax(command) != 0:
        raise SystemExit(f"vae-jax {' '.join(command)} failed")
    return directory


def main() -> None:
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    runs, data_dir = Path(sys.argv[1]), Path(sys.argv[2])
    panels = {}
    for title, members in variants(data_dir).items():
        found = {}
        for name, variant in members.items():
            found[name] = [read_run(trained(variant.arguments, runs / variant.name))]
        panels[title] = curves(found)
    plots.bound_curves(panels).savefig(sys.argv[3] if len(sys.argv) > 3 else "docs/founding_curves.png", dpi=110)


if __name__ == "__main__":
    main()
