"""Runs with parts other than the usual ones, from the command line to the pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

from vae_jax.cli import main

RUNS = {
    "directions": ("--posterior", "sphere", "--estimator", "dreg", "--latent-size", "3"),
    "relaxed choices": ("--posterior", "concrete", "--estimator", "analytic", "--bound", "elbo"),
    "counts": ("--likelihood", "binomial", "--binarisation", "none", "--posterior", "iaf", "--prior", "vamp"),
    "pixels": ("--autoregressive-layers", "1", "--likelihood", "logistic", "--binarisation", "none"),
    "a constraint": ("--estimator", "analytic", "--bound", "elbo", "--most-distortion", "22", "--patience", "None"),
}


# Data that are seen in another way, and a loss with a parameter of its own; the others run with `pytest -m slow`.
_EACH_KIND = ("counts", "a constraint")


@pytest.mark.parametrize(
    "options",
    [pytest.param(RUNS[name], id=name, marks=() if name in _EACH_KIND else pytest.mark.slow) for name in RUNS],
)
def test_a_run_of_other_parts(options: tuple[str, ...], tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    arguments = ["train", "digits", "--quick", "--num-samples", "3", "--out", str(run), *options]
    # A small model, and no option twice: the last one counts.
    assert main([*arguments, "--hidden", "16", "--prior-components", "5", "--flow-layers", "2"]) == 0
    result = json.loads((run / "evaluation.json").read_text())
    assert np.isfinite(result["log_marginal"])
    assert result["log_marginal"] < 0
    assert {path.stem for path in (run / "pictures").iterdir()} >= {"latent", "samples", "reconstructions"}
    assert main(["sample", str(run), "--count", "4"]) == 0
    x = np.load(run / "samples.npz")["x"]
    assert x.shape == (4, 8, 8, 1)
    assert x.max() <= (16 if "none" in options else 1)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert ("beta" in json.loads(lines[-1])["train"]) == ("--most-distortion" in options)
