"""`vae-jax score`, and known factors on their way from a file or TFDS to the scores of a run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vae_jax.cli import main
from vae_jax.data import load

RANDOM = np.random.default_rng(0)
FACTORS = np.tile(np.indices((3, 4)).reshape(2, -1).T, (30, 1)).astype(np.int32)
CODES = FACTORS + 0.01 * RANDOM.standard_normal(FACTORS.shape)


def test_two_files_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "codes.npy", CODES)
    np.save(tmp_path / "factors.npy", FACTORS)
    files = [str(tmp_path / name) for name in ("codes.npy", "factors.npy")]
    assert main(["score", *files, "--out", str(tmp_path / "scores.json")]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "scores.json").read_text())
    # A little noise, cut into pieces, says a little of the other factor by chance.
    assert found["mig"] == pytest.approx(1.0, abs=0.01)
    assert found["disentanglement"] == pytest.approx(1.0)
    assert {"sap", "completeness", "informativeness", "modularity", "factor_vae_score", "beta_vae_score"} <= set(found)
    assert found["factors"] == 2
    assert found["scored_examples"] == 360
    assert "1.0000" in printed
    # Of a file of factors the codes that it may hold beside them are not scored.
    np.savez(tmp_path / "factors.npz", factors=FACTORS, mean=RANDOM.normal(size=(360, 2)))
    assert main(["score", files[0], str(tmp_path / "factors.npz"), "--out", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text()) == found
    np.savez(tmp_path / "unnamed.npz", FACTORS)
    assert main(["score", files[0], str(tmp_path / "unnamed.npz")]) == 1
    assert "unnamed.npz holds no array 'factors'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["whole", "real", "mixed"])
def test_factors_of_a_file_may_be_floats(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole numbers are classes, other numbers real; a code that is constant but for its rounding says nothing."""
    factors = {"whole": 1.0 * FACTORS, "real": 0.3 * FACTORS, "mixed": FACTORS * [1.0, 0.3]}[kind]
    still = np.where(RANDOM.random((360, 1)) < 0.5, 0.1, np.nextafter(0.1, 1.0))
    np.savez(tmp_path / "codes.npz", mean=np.concatenate([CODES, still], axis=1), factors=factors)
    assert main(["score", str(tmp_path / "codes.npz"), "--out", str(tmp_path / "scores.json")]) == 0
    capsys.readouterr()
    found = json.loads((tmp_path / "scores.json").read_text())
    assert found["mig"] == pytest.approx(1.0, abs=0.02)
    assert found["informativeness"] == pytest.approx(1.0, abs=0.02)
    assert found["disentanglement"] == pytest.approx(1.0, abs=0.02)
    assert found["gaussian_total_correlation"] < 0.1
    assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["codes.npy"], "holds no array 'factors'. Give codes [n, d] and factors [n, f] as two .npy files"),
        (["nothing.npy", "factors.npy"], "No such file"),
        (["codes.txt", "factors.npy"], "must end in .npy"),
        (["damaged.npy", "factors.npy"], "cannot be read as a .npy file of numbers"),
        (["codes.npy", "short.npy"], "got 360 codes and 12 rows of factors"),
        (["nan.npy", "factors.npy"], "360 of 360 codes are not finite, the first in row 0"),
    ],
)
def test_bad_files_are_one_line(arguments: list[str], message: str, tmp_path: Path, capsys: Any) -> None:
    for name, array in {"codes": CODES, "factors": FACTORS, "short": FACTORS[:12], "nan": CODES * np.nan}.items():
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "damaged.npy").write_text("no array")
    (tmp_path / "codes.txt").write_text("1 2")
    assert main(["score", *(str(tmp_path / name) for name in arguments)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_factors_of_a_file_are_scored_and_never_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.concatenate([FACTORS, -FACTORS], axis=1) + 0.05 * RANDOM.standard_normal((360, 4))
    np.savez(tmp_path / "known.npz", x=x.astype(np.float32), factors=FACTORS)
    data = load(str(tmp_path / "known.npz"))
    assert data.test.factors is not None
    assert "factors" not in data.train.batch()
    # The rows of factors go with their examples through the shuffle and the cuts.
    np.testing.assert_allclose(data.test.x[:, :2], data.test.factors, atol=0.3)
    arguments = ["curve", "--dataset", str(tmp_path / "known.npz"), "--epochs", "2", "--evaluation-samples", "10"]
    out = tmp_path / "run"
    assert main(["train", *arguments, "--latent-size", "2", "--out", str(out)]) == 0
    assert "MIG" in capsys.readouterr().out
    assert 0.0 <= json.loads((out / "evaluation.json").read_text())["mig"] <= 1.0
    assert main(["encode", str(out), str(tmp_path / "known.npz")]) == 0
    capsys.readouterr()
    assert main(["score", str(out / "codes.npz")]) == 0
    assert "FactorVAE score" in capsys.readouterr().out


class MockSource(list):
    def __getitems__(self, rows: Any) -> Any:
        return [self[row] for row in rows]
