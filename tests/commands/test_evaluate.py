"""`vae-jax evaluate` and `compare`: what they measure and print, and what they refuse. `score`: `tests/report`."""

import json

import pytest

from tests.runs import changed, experiment, trained
from vae_jax.cli import main


def test_a_run_is_evaluated_and_compared(run, capsys) -> None:
    assert main(["evaluate", str(run), "--k", "7", "--gaps", "2", "--ais", "3", "--temperatures", "20"]) == 0
    found = json.loads((run / "evaluation.json").read_text())
    assert (found["k"], found["gap_examples"], found["ais_examples"], found["ais_temperatures"]) == (7, 2, 3, 20)
    printed = capsys.readouterr().out
    assert "BDMC gap" in printed
    assert "index code" in printed
    assert main(["compare", str(run), "--picture", str(run / "curves.png")]) == 0
    assert (run / "curves.png").is_file()
    assert "log p(x)" in capsys.readouterr().out


def test_evaluating_again_overwrites_nothing_when_it_fails(run, capsys) -> None:
    before = (run / "evaluation.json").read_text() if (run / "evaluation.json").exists() else None
    assert main(["evaluate", str(run), "--k", "0"]) == 1
    assert main(["evaluate", str(run), "--epoch", "2"]) == 1
    after = (run / "evaluation.json").read_text() if (run / "evaluation.json").exists() else None
    assert before == after
    assert "--evaluation-samples must be greater than 0" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["evaluate", "explore"])
def test_a_run_of_somebody_else_is_refused_before_anything_is_measured(command, run, monkeypatch, capsys) -> None:
    monkeypatch.setattr("vae_jax.train.files.os.access", lambda path, mode: False)
    assert main([command, str(run)]) == 1
    assert "cannot be written into, where this command leaves its results. Copy it" in capsys.readouterr().err


def test_annealing_of_choices_is_refused_before_anything_is_measured(tmp_path) -> None:
    config = changed(experiment(epochs=1), "model", posterior="concrete", classes=4)
    run, _ = trained(tmp_path / "run", config)
    assert main(["evaluate", str(run.directory), "--ais", "2"]) == 1
    assert not (run.directory / "evaluation.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "/nonexistent"], "/nonexistent holds no run"),
        (["evaluate", "/nonexistent", "--ais", "-1"], "--ais must be at least 0, got -1"),
        (["evaluate", "/nonexistent", "--gaps", "-1"], "--gaps must be at least 0, got -1"),
        (["evaluate", "/nonexistent", "--temperatures", "0"], "--temperatures must be at least 1, got 0"),
        (["compare"], "name the runs to compare: vae-jax compare RUN RUN"),
        (["compare", "/nonexistent"], "/nonexistent holds no run"),
    ],
)
def test_mistakes_get_one_clear_line(arguments, message: str, refusal) -> None:
    assert message in refusal(*arguments)
