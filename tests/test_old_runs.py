"""Runs of version 0.1.0 open for ever: they were stopped in the middle, and come to what they came to then."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.runs import changed, console, measured
from vae_jax.cli import main
from vae_jax.config.files import from_json, to_json
from vae_jax.languages.grammar import load_grammar
from vae_jax.measure.codes import DIMENSION_KL, PROBE, RECONSTRUCTION
from vae_jax.measure.likelihood import LIKELIHOOD
from vae_jax.measure.strings import STRINGS
from vae_jax.measure.subject import subject_of
from vae_jax.train.files import read_metrics
from vae_jax.train.loop import train
from vae_jax.train.run import load_state, open_run, prepare_run
from vae_jax.train.sweep import open_sweep

FOLDER = Path(__file__).parent / "old_runs" / "version_0_1_0"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())


def copied(name: str, folder: Path) -> Path:
    shutil.copytree(FOLDER / name, folder / name)
    return folder / name


def check(result: dict, expected: dict) -> None:
    """Every number that was measured then and now. Other devices and versions of XLA round otherwise."""
    both = set(result) & set(expected)
    assert {"log_marginal", "elbo", "rate", "distortion", "active_units"} <= both
    for name in both:
        if isinstance(expected[name], (str, type(None))):
            assert result[name] == expected[name], name
        else:
            np.testing.assert_allclose(result[name], expected[name], rtol=2e-3, atol=2e-3, err_msg=name)


@pytest.mark.parametrize(
    ("name", "measurements"),
    [
        ("run", (LIKELIHOOD, DIMENSION_KL, RECONSTRUCTION, PROBE)),
        ("strings", (LIKELIHOOD, STRINGS)),
        pytest.param("molecules", (LIKELIHOOD, STRINGS), marks=pytest.mark.slow),
    ],
)
def test_an_old_run_goes_on(name: str, measurements: tuple, tmp_path: Path) -> None:
    run = open_run(copied(name, tmp_path))
    trained = train(run, console())
    state = trained.state
    assert trained.finished
    assert trained.moved
    losses = [line["train"]["loss"] for line in read_metrics(run.directory)]
    np.testing.assert_allclose(losses, EXPECTED[f"{name} losses"], rtol=1e-4)
    check(measured(run, state, *measurements, decodings=EXPECTED[name].get("string_decodings", 1)), EXPECTED[name])


def test_the_grammar_smiles_of_old_runs_is_smiles_zinc(tmp_path: Path) -> None:
    run = open_run(copied("molecules", tmp_path))
    assert run.config.strings.grammar == "smiles_zinc"
    assert run.dataset.grammar == load_grammar("smiles_zinc")
    assert run.dataset.levels == 108
    # What version 0.1.0 measured of these parameters is known again.
    digest = "0e7ebcd5a914248b0f9515a0ec7657e5d9fd4547f7760406f7607506cc55ed44"
    assert subject_of(run, load_state(run)).fingerprint == digest
    # Written by this version, the name means what it says.
    config = changed(run.config, "strings", grammar="smiles")
    assert prepare_run(from_json(to_json(config)), tmp_path / "new").dataset.grammar == load_grammar("smiles")


def test_an_old_sweep_goes_on(tmp_path: Path) -> None:
    directory = copied("sweep", tmp_path)
    assert main(["resume", str(directory)]) == 0
    losses = [line["train"]["loss"] for line in read_metrics(directory)]
    np.testing.assert_allclose(losses, EXPECTED["sweep losses"], rtol=1e-4)
    assert open_sweep(directory).seeds == 1
    for member in ("beta=1,seed=0", "beta=4,seed=0"):
        result = json.loads((directory / "members" / member / "evaluation.json").read_text())
        check(result, EXPECTED[member])
