"""Test NLL against passes over the data: a run's snapshots beside the paper's recipe.

    python benchmarks/nll_curve.py RUN [PICTURE]

RUN was trained with `--snapshots …`, and each was measured by `vae-jax evaluate RUN --epoch N --k 1000`; what is
measured is drawn. The published points are those of docs/results.md: a public replication's log of the paper's recipe
with k = 64, and the paper's own numbers after 3,280 passes.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

# Passes and test NLL in nats of the paper's recipe: a replication's log, then the paper (k = 5 and 50).
REPLICATION = {1: 120.6, 5: 98.9, 10: 94.4, 20: 91.6, 50: 89.1, 100: 88.0, 364: 86.3, 1000: 85.4}
PAPER = {"k = 5": 85.54, "k = 50": 84.78}
PAPER_PASSES = 3280


def main(run: Path, picture: Path) -> None:
    found = [json.loads(path.read_text()) for path in run.glob("evaluation*.json")]
    if not found:
        raise SystemExit(f"{run} holds no evaluation; measure its snapshots first: vae-jax evaluate {run} --epoch N")
    per_epoch = json.loads((run / "config.json").read_text())["train"]["epochs"] / found[0]["num_steps"]
    points = sorted((round(one["step"] * per_epoch), -one["log_marginal"], one["k"]) for one in found)
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.subplots()
    published = (list(REPLICATION), list(REPLICATION.values()))
    axes.plot(*published, "s-", color="0.55", label="the paper's recipe, a replication")
    for (name, value), height in zip(PAPER.items(), (4, -11), strict=True):
        axes.plot([PAPER_PASSES], [value], "k*", markersize=9)
        axes.annotate(
            f"paper, {name}", (PAPER_PASSES, value), (-8, height), textcoords="offset points", ha="right", fontsize=8
        )
    epochs, values, ks = zip(*points, strict=True)
    axes.plot(epochs, values, "o-", color="C0", label="here: DReG, Muon, growing k")
    for epoch, value, k in points:
        print(f"epoch {epoch:4d}   NLL {value:7.3f}   k = {k}")
    axes.set_xscale("log")
    axes.set_ylim(83.0, 100.0)
    axes.set_xlabel("passes over the 60,000 training images")
    axes.set_ylabel(
        f"test NLL, nats (k = {ks[0]} for most points here)" if len(set(ks)) > 1 else f"test NLL, nats, k = {ks[0]}"
    )
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=150)
    print(f"written: {picture}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else "nll_curve.png"))
