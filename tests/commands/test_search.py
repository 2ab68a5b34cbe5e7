"""`vae-jax search`."""

import json
from pathlib import Path

import pytest

from vae_jax.cli import main


def test_the_best_strings_are_written_first(strings_run) -> None:
    directory: Path = strings_run[0].directory
    assert main(["search", str(directory), "--rounds", "2", "--batch", "2", "--start", "10"]) == 0
    results = json.loads((directory / "search.json").read_text())
    assert len(results) == 14
    values = [one["log(1 + MSE)"] for one in results]
    known = [value for value in values if value is not None]
    assert known == sorted(known)
    assert [one["round"] for one in results].count(2) == 2
    assert (directory / "search.png").is_file()


def test_a_run_on_other_data_has_nothing_to_search(run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(run)]) == 1
    assert "has no strings with a score: a search is for runs whose --valid-as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/nonexistent"], "/nonexistent holds no run"),
        # Before the run is opened, which takes a while.
        (["/nonexistent", "--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["/nonexistent", "--batch", "-1"], "--batch must be at least 1, got -1"),
        (["/nonexistent", "--start", "0"], "--start must be at least 1, got 0"),
    ],
)
def test_mistakes_get_one_clear_line(arguments: list[str], message: str, refusal) -> None:
    assert message in refusal("search", *arguments)
