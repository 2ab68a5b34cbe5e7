"""`vae-jax sample` and `encode`."""

from pathlib import Path

import numpy as np

from tests.runs import lines
from vae_jax.cli import main


def test_a_run_is_drawn_from_and_encodes(run, capsys) -> None:
    assert main(["sample", str(run), "--count", "5"]) == 0
    assert np.load(run / "samples.npz")["x"].shape[0] == 5
    assert main(["encode", str(run), "digits"]) == 0
    assert np.load(run / "codes.npz")["mean"].shape == (1797, 2)
    capsys.readouterr()


def test_variations_of_an_example(run, capsys) -> None:
    assert main(["sample", str(run), "--like", "3", "--spread", "2", "--count", "5"]) == 0
    assert np.load(run / "variations.npz")["x"].shape[0] == 5
    for flags, reason in (
        (["--spread", "2"], "--spread 2.0 is for variations of an example: --like 0 --spread 2.0"),
        (["--like", "3", "--density", "normal"], "leave --condition and --density out"),
    ):
        assert main(["sample", str(run), *flags]) == 1
        assert reason in " ".join(capsys.readouterr().err.split())


def test_strings_are_encoded_by_a_run_on_strings_alone(strings_run, tmp_path: Path) -> None:
    directory, codes = str(strings_run[0].directory), tmp_path / "codes.npz"
    assert main(["encode", directory, lines(tmp_path / "some.txt", "x+1", "sin(x)"), "--out", str(codes)]) == 0
    assert np.load(codes)["mean"].shape == (2, 3)
    assert main(["encode", directory, "digits"]) == 1
