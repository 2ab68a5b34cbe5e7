"""VAE, β-VAE, β-TCVAE and FactorVAE on sprites: scores against the weight, five seeds each, and against the error.

    python benchmarks/disentanglement.py RUNS [PICTURE]

Three sweeps of one program each (an interrupted one goes on, a finished one is only read): β of the β-VAE, of which
β = 1 is the VAE; β of β-TCVAE; γ of FactorVAE, which stands at β = γ + 1. Prints the table as Markdown and the
time of all three; the picture shows every score against β, and against the error.
"""

import json
import sys
from pathlib import Path

import numpy as np

from vae_jax.cli import main as vae_jax
from vae_jax.pictures import plots

# Name, config, what is swept.
SWEEPS = (
    ("β-VAE", "sprites", "objective.beta=1,2,4,8"),
    ("β-TCVAE", "tc_vae", "objective.beta=2,4,8"),
    ("FactorVAE", "factor_vae", "codes.critic_weight=1,3,7"),
)
COLUMNS = (
    ("squared error", "reconstruction_error", ".4f"),
    ("rate", "rate", ".1f"),
    ("MIG", "mig", ".3f"),
    ("DCI", "disentanglement", ".3f"),
    ("SAP", "sap", ".3f"),
    ("FactorVAE score", "factor_vae_score", ".3f"),
)


def swept(config: str, over: str, directory: Path) -> tuple[dict[float, list[dict]], float]:
    """The members of a sweep by their number, as the β that it stands for, and the seconds of its training."""
    if not (directory / "evaluation.json").is_file():
        new = ["sweep", config, "--over", over, "--seeds", "5", "--out", str(directory)]
        if vae_jax(["resume", str(directory)] if directory.exists() else new) != 0:
            raise SystemExit(f"the sweep of {config} failed")
    members = json.loads((directory / "evaluation.json").read_text())["members"]
    field = over.partition("=")[0].rpartition(".")[2]
    more = 1.0 if field == "critic_weight" else 0.0
    found: dict[float, list[dict]] = {}
    for member in members:
        found.setdefault(member[field] + more, []).append(member)
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return found, json.loads(lines[-1])["seconds"]


def moments(members: list[dict], field: str) -> tuple[float, float]:
    """Mean and standard error over seeds."""
    values = np.array([member[field] for member in members])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def main(runs: Path, picture: Path) -> None:
    found, seconds = {}, 0.0
    for name, config, over in SWEEPS:
        found[name], took = swept(config, over, runs / config)
        seconds += took
    # β = 1 is the VAE whichever the system.
    vae = {1.0: found["β-VAE"][1.0]}
    curves = {name: vae | points for name, points in found.items()}
    print("| | β | " + " | ".join(heading for heading, _, _ in COLUMNS) + " |")
    print("|---" * (2 + len(COLUMNS)) + "|")
    for name, points in {"VAE": vae, **found}.items():
        for beta, members in points.items():
            if name != "VAE" and beta == 1.0:
                continue
            cells = [moments(members, field) for _, field, _ in COLUMNS]
            forms = [form for _, _, form in COLUMNS]
            shown = [f"{mean:{form}} ± {error:{form}}" for (mean, error), form in zip(cells, forms, strict=True)]
            print(f"| {name} | {beta:g} | " + " | ".join(shown) + " |")
    print(
        f"training of all {sum(len(m) for points in found.values() for m in points.values())} members: {seconds:.0f} s"
    )
    betas = [1.0, 2.0, 4.0, 8.0]
    panels = {
        heading: {name: [moments(points[beta], field) for beta in betas] for name, points in curves.items()}
        for heading, field, _ in COLUMNS
    }
    plots.error_bars(betas, panels, name="β (FactorVAE: γ + 1)").savefig(picture, dpi=150)
    print(f"written: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/disentanglement.png"))
