"""The table of runs side by side, of numbers that are written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs import changed, console, experiment
from vae_jax.measure.comparison import Measured
from vae_jax.report.compare import comparison

RESULT = {
    "log_marginal": -90.0,
    "test_examples_error": 1.5,
    "elbo": -92.0,
    "active_units": [7, 2],
    "parameters_of_epoch": 3,
    "training_seconds": 12.0,
    "k": 10,
}


def run(seed: int, log_marginal: float, **fields: Any) -> Measured:
    result = RESULT | {"log_marginal": log_marginal} | fields
    each = log_marginal + np.array([-1.0, 0.0, 1.0])
    return Measured(Path(f"run-{seed}"), changed(experiment(), "train", seed=seed), result, each, "the same")


def printed(rows: dict[str, list[Measured]]) -> str:
    shown = console()
    shown.print(comparison(rows))
    return shown.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]


def test_seeds_have_an_error_and_one_alone_has_none() -> None:
    text = printed({"beta=1": [run(0, -90.0), run(1, -94.0)], "beta=4": [run(0, -80.0)]})
    first, second = (line.split() for line in text.splitlines() if line.startswith((" A ", " B ")))
    assert first[1:5] == ["2", "-92.00", "±", "2.00"]
    assert second[1:4] == ["1", "-80.00", "1.50"]
    # Of several layers, their units.
    assert first[-3:] == second[-3:] == ["7+2", "3", "12"]
    assert "A: beta=1" in text
    assert "B: beta=4" in text


def test_what_is_worse_than_a_constant_is_told() -> None:
    rows = {"a": [run(0, -90.0)], "b": [run(0, -99.0, worse_than_constant="…")]}
    assert "B is worse than a constant, one marginal for each element" in printed(rows)
    assert "A is worse" not in printed(rows)


def test_codes_that_are_names_have_no_units() -> None:
    named = run(0, -80.0)
    del named.result["active_units"]
    row = next(line.split() for line in printed({"vq": [named]}).splitlines() if line.startswith(" A "))
    assert row[-4:] == ["10", "-92.00", "3", "12"]


def test_differences_are_said_in_words_with_their_two_errors() -> None:
    first = [run(0, -90.0), run(1, -94.0)]
    both = {"a": first, "b": [run(0, -89.0), run(1, -91.0)]}
    # Each seed is paired with its own: 1 and 3 nats, and no image differs from another.
    assert "B - A: +2.000 nats, ± 1.000 over 2 seeds, ± 0.000 over examples" in printed(both)
    assert "B - A: +1.000 nats, one seed, ± 0.000 over examples" in printed({"a": first, "b": [run(0, -89.0)]})


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (run(5, -89.0), "they share no seed"),
        (run(0, -89.0, k=7), "k is 10 and 7"),
        (run(0, -89.0)._replace(data="others"), "the test examples differ"),
        (run(0, -89.0, dataset="fashion")._replace(data="others"), "dataset is None and fashion, the test examples"),
    ],
)
def test_rows_that_do_not_go_together_are_not_subtracted(other: Measured, why: str) -> None:
    rows = {"a": [run(0, -90.0)], "b": [other]}
    assert f"B - A: not paired, since {why}" in printed(rows)


def test_more_rows_than_letters_have_numbers() -> None:
    text = printed({f"row {i}": [run(0, -90.0 - i)] for i in range(27)})
    assert "27: row 26" in text
    assert "27 - 1: -26.000 nats" in text
