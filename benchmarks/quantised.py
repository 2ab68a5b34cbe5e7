"""VQ-VAE, VQ-VAE-2 and finite scalars against a VAE of the same networks, on MNIST and Fashion-MNIST as counts.

    python benchmarks/quantised.py RUNS DATA_DIR [--datasets mnist fashion_mnist] [--rows vae vq …] [--epochs N]
                                   [--picture FILE]

Trains into RUNS what is not there yet (an interrupted run goes on, a finished one is read), and prints a table as
Markdown: bits per dimension of the test images with what the code costs, the error of the reconstructions, and the
codes that the test images use. One seed. The picture has, of the last dataset, test images as each model decodes them,
and below them samples of each.
"""

import argparse
import json
import math
from pathlib import Path

import jax
import numpy as np
from founding_curves import trained

from vae_jax.cli import main as vae_jax
from vae_jax.measure.subject import subject_of
from vae_jax.models.vae import typical
from vae_jax.pictures import plots
from vae_jax.train.run import load_state, open_run

COLUMNS = 14
# That of the configs.
K = 100

# A row: its title, the config, what is changed.
ROWS = {
    "vae": ("VAE, 7x7 places", ["grid_vae"]),
    "vq": ("VQ-VAE, 7x7 codes, running means", ["vq_vae"]),
    "gradient": ("VQ-VAE, 7x7 codes, by gradient", ["vq_vae", "--codebook", "gradient"]),
    "scalars": (
        "finite scalars, 7x7 codes of 8x6x5",
        ["vq_vae", "--codebook", "finite_scalar", "--scalar-levels", "8", "6", "5", "--latent-size", "3"],
    ),
    "vae14": ("VAE, 14x14 places", ["grid_vae", "--hidden", "32"]),
    "vq2": ("VQ-VAE-2, 14x14 and 7x7 codes", ["vq_vae_2"]),
}


def decoded(directory: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Test images, what the model makes of them, and samples, `[COLUMNS, …]` each, in 0..1."""
    run = open_run(directory)
    subject, most = subject_of(run, load_state(run)), run.dataset.most
    vae, params, x = subject.density, subject.params, subject.examples[:COLUMNS]
    decode = jax.jit(jax.vmap(lambda z: typical(vae.decode(params, z), jax.random.key(1))))
    again = decode(jax.vmap(lambda x: vae.encode(params, x).mean)(x))
    drawn = decode(vae.prior(params).sample(jax.random.key(0), (COLUMNS,)))
    return np.asarray(x) / most, np.asarray(again) / most, np.asarray(drawn) / most


def draw(directories: dict[str, Path], picture: Path) -> None:
    found = {title: decoded(directory) for title, directory in directories.items()}
    data = next(iter(found.values()))[0]
    grid = np.stack([data, *(again for _, again, _ in found.values()), *(drawn for *_, drawn in found.values())])
    names = ["data", *(f"{title}, decoded" for title in found), *(f"{title}, samples" for title in found)]
    plots.show_images(grid, title="test images decoded, and samples: means of p(x | z)", row_names=names).savefig(
        picture, dpi=150
    )
    print(f"written: {picture}")


def main(runs: Path, data_dir: Path, datasets: list[str], rows: list[str], epochs: int, picture: Path | None) -> None:
    print("| data | model | bits per dimension | of which code | squared error | codes used of 256 | perplexity |")
    print("|---|---|---|---|---|---|---|")
    for dataset in datasets:
        for row in rows:
            title, arguments = ROWS[row]
            directory = runs / f"{row}-{dataset}"
            trained([*arguments, "--dataset", dataset, "--data-dir", str(data_dir), "--epochs", str(epochs)], directory)
            result = json.loads((directory / "evaluation.json").read_text())
            # A training may end with a larger k than it was told, where that was not enough.
            if "log_marginal" in result and result["k"] > K:
                if vae_jax(["evaluate", str(directory), "--k", str(K), "--gaps", "0"]) != 0:
                    raise SystemExit(f"vae-jax evaluate {directory} failed")
                result = json.loads((directory / "evaluation.json").read_text())
            error = result["test_examples_error"] / math.log(2.0) / 784
            rate = result["rate"] / math.log(2.0) / 784
            used = " + ".join(str(count) for count in result.get("codes_used", [])) or "–"
            even = " + ".join(f"{value:.0f}" for value in result.get("code_perplexity", [])) or "–"
            print(
                f"| {dataset} | {title} | {result['bits_per_dimension']:.4f} ± {error:.4f} | {rate:.4f} | "
                f"{result['reconstruction_error']:.5f} | {used} | {even} |",
                flush=True,
            )
    if picture is not None:
        draw({ROWS[row][0].partition(",")[0]: runs / f"{row}-{datasets[-1]}" for row in rows}, picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--datasets", nargs="+", default=["mnist", "fashion_mnist"])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--picture", type=Path, default=None)
    given = parser.parse_args()
    main(given.runs, given.data_dir, given.datasets, given.rows, given.epochs, given.picture)
