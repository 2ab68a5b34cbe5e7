import dataclasses
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tests.runs import changed, console, experiment
from vae_jax.config import Data
from vae_jax.measure.members import by_point, measure_members, median_member, moments, write_results
from vae_jax.pictures.sweep import write_sweep_pictures
from vae_jax.report.sweep import sweep_table
from vae_jax.train.grid import parse_grid
from vae_jax.train.loop import train
from vae_jax.train.sweep import create_sweep


def test_known_factors_are_scored(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    factors = random.integers(3, size=(300, 2)).astype(np.int32)
    x = np.concatenate([factors, -factors], axis=1) + 0.05 * random.standard_normal((300, 4))
    np.savez(tmp_path / "known.npz", x=x.astype(np.float32), factors=factors)
    config = dataclasses.replace(experiment(epochs=2), data=Data(str(tmp_path / "known.npz"), binarisation="none"))
    config = changed(config, "model", likelihood="normal")
    sweep = create_sweep(config, parse_grid(["beta=1"]), 3, tmp_path / "sweep")
    state = train(sweep, console()).state
    results = measure_members(sweep, state, Console(quiet=True))
    assert all(0.0 <= result["mig"] <= 1.0 for result in results)
    assert all(result["factors"] == 2 for result in results)
    middle = median_member(results)
    assert sorted(result["mig"] for result in results)[1] == results[middle]["mig"]
    assert list(by_point(sweep, results)) == ["beta=1"]
    printed = console()
    printed.print(sweep_table(sweep, results))
    assert "MIG" in printed.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert write_results(sweep, results).is_file()
    assert [path.name for path in write_sweep_pictures(sweep, state, results)] == ["curves.png"]


def test_moments_are_those_of_the_seeds_and_layers_are_added() -> None:
    results = [{"rate": 2.0, "active": [3, 1]}, {"rate": 5.0, "active": [2, 0]}, {"rate": 8.0, "active": [1, 1]}]
    assert moments(results, "rate") == pytest.approx((5.0, 3.0 / np.sqrt(3)))
    assert moments(results, "active")[0] == pytest.approx((4 + 2 + 2) / 3)
    assert moments([*results, {}], "rate") is None
    assert moments([*results, {"rate": np.nan}], "rate") is None
    mean, error = moments(results[:1], "rate")
    assert mean == 2.0
    assert np.isnan(error)


def test_the_median_member_is_by_mig_or_by_its_loss_where_one_has_none() -> None:
    results = [{"mig": mig, "validation_loss": loss} for mig, loss in ((0.1, 1.0), (0.5, 2.0), (0.3, 3.0))]
    assert median_member(results) == 2
    del results[0]["mig"]
    assert median_member(results) == 1
    # Of an even number the lower of the two.
    assert median_member(results[1:]) == 1


def test_results_stand_with_their_point() -> None:
    sweep: Any = types.SimpleNamespace(points=[{("objective", "beta"): beta} for beta in (1.0, 4.0)], seeds=2)
    results = [{"member": number} for number in range(4)]
    assert by_point(sweep, results) == {"beta=1": results[:2], "beta=4": results[2:]}
