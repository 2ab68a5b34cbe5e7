import json

import numpy as np
import pytest

from vae_jax.cli import main

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("spread", "says"), [(0.3, "± 0.0"), (9.0, "a lower bound, low by an unknown amount")])
def test_the_verdict_is_that_of_the_weights(tmp_path, capsys, spread: float, says: str) -> None:
    np.save(tmp_path / "w.npy", -80.0 + spread * RANDOM.normal(size=(50, 500)))
    assert main(["nll", str(tmp_path / "w.npy"), "--out", str(tmp_path / "w.json")]) == 0
    assert says in " ".join(capsys.readouterr().out.split())
    numbers = json.loads((tmp_path / "w.json").read_text())
    assert numbers["k"] == 500
    assert numbers["evaluated_examples"] == 50


def test_other_files_are_refused(tmp_path, capsys) -> None:
    (tmp_path / "w.npy").write_bytes(b"nothing")
    for name, says in (
        ("none.npy", "no file"),
        ("w.npy", "cannot be read as a .npy file of numbers"),
        ("w.csv", "must end in .npy"),
    ):
        assert main(["nll", str(tmp_path / name)]) == 1
        assert says in capsys.readouterr().err
