"""`vae-jax impute` and `anomaly`."""

from pathlib import Path

import pytest

from vae_jax.cli import main
from vae_jax.data.table import read_table, write_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("table")
    rows = {"a": [i / 7 for i in range(90)], "b": ["x" if i % 3 else "y" for i in range(90)]}
    write_table(folder / "t.csv", rows | {"a": [None if i == 4 else a for i, a in enumerate(rows["a"])]})
    arguments = ["--dataset", str(folder / "t.csv"), "--epochs", "2", "--evaluation-samples", "5"]
    assert main(["train", "table", *arguments, "--hidden", "8", "--out", str(folder / "run")]) == 0
    return folder / "t.csv", folder / "run"


def test_a_table_is_shown_before_training_and_its_gaps_are_filled_after(table, capsys) -> None:
    data, run = table
    assert main(["impute", str(run), str(data), "--samples", "20"]) == 0
    assert "1 gaps filled" in capsys.readouterr().out
    assert len(read_table(run / "imputed.csv").columns["a"]) == 90
    assert main(["train", "table", "--dataset", str(data), "--out", str(run), "--columns", "c=bits"]) == 1
    assert "already holds a run" in capsys.readouterr().err


def test_strange_rows_are_counted(table, capsys) -> None:
    data, run = table
    arguments = ["--samples", "20", "--false-alarms"]
    assert main(["anomaly", str(run), str(data), *arguments, "0.2"]) == 0
    assert "strange, with a score above" in capsys.readouterr().out
    assert list(read_table(run / "anomalies.csv").columns) == ["row", "score", "strange"]
    assert main(["anomaly", str(run), str(data), *arguments, "0.001"]) == 1
    assert "cannot bound a rate of 0.001; it needs at least 999" in capsys.readouterr().err


def test_a_run_is_named_after_ones_own_data(table, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    data, _ = table
    assert main(["train", "table", "--dataset", str(data), "--epochs", "1", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "run: runs/t-quick" in out
    for words in ("taken for", "reals", "bits", "--columns NAME=FAMILY"):
        assert words in out
