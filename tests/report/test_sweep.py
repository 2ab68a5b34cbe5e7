"""The table of a sweep, of numbers that are written by hand: nothing is trained."""

import types
from typing import Any

from tests.runs import console, experiment
from vae_jax.report.sweep import sweep_table


def printed(results: list[dict[str, Any]], *, points: int, seeds: int) -> list[str]:
    grid = [{("objective", "beta"): float(beta)} for beta in range(1, points + 1)]
    sweep: Any = types.SimpleNamespace(directory="runs/sweep", config=experiment(), points=grid, seeds=seeds)
    shown = console()
    shown.print(sweep_table(sweep, results))
    text: str = shown.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return [" ".join(line.split()) for line in text.splitlines()]


def test_means_over_seeds_with_their_errors_and_a_dash_where_a_member_has_no_number() -> None:
    results = [
        {"member": "a", "elbo": -3.0, "active_units": [3, 1]},
        {"member": "b", "elbo": -5.0, "active_units": [2, 0]},
        {"member": "c", "elbo": -1.0},
        {"member": "d", "not_measured": "log p(x) is nan"},
    ]
    lines = printed(results, points=2, seeds=2)
    assert lines[:2] == ["runs/sweep", "means over 2 seeds ± standard error; nats per test example"]
    assert "beta=1 beta=2" in lines
    assert "ELBO -4.00 ± 1.00 -" in lines
    # Of several layers together.
    assert "active units 3.0 ± 1.0 -" in lines
    assert not any(line.startswith(("rate", "MIG")) for line in lines)
    assert lines[-1] == "d: log p(x) is nan"


def test_members_that_are_worse_than_a_constant_are_told_of() -> None:
    good, bad = {"elbo": -1.0, "constant_log_prob": -2.0}, {"elbo": -3.0, "constant_log_prob": -2.0}
    told = "1 of 2 members are worse than a constant, one marginal for each element: -2.00 nats"
    lines = printed([good, bad | {"worse_than_constant": "…"}], points=1, seeds=2)
    assert told in " ".join(lines)
    assert "worse" not in " ".join(printed([good, good], points=1, seeds=2))


def test_one_seed_has_no_error_and_many_points_are_several_tables() -> None:
    lines = printed([{"elbo": -1.0 - i} for i in range(4)], points=4, seeds=1)
    assert [line for line in lines if "beta" in line] == ["beta=1 beta=2 beta=3", "beta=4"]
    assert [line for line in lines if "ELBO" in line] == ["ELBO -1.00 -2.00 -3.00", "ELBO -4.00"]
