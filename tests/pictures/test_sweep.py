"""Which pictures a sweep gets, from numbers that are written by hand: nothing is trained."""

import types
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from tests.runs import experiment
from vae_jax.pictures import sweep as pictures
from vae_jax.train.files import write_metrics
from vae_jax.train.grid import Grid, grid_points, parse_grid

SEEDS = 2


def sweep_of(grid: Grid, folder: Path) -> Any:
    points = grid_points(grid)
    numbers = [float(i) for i in range(len(points) * SEEDS)]
    lines = [{"step": 10 * e, "train": {"loss": numbers}, "validation": {"bound": numbers}} for e in (1, 2, 3)]
    write_metrics(folder, lines)
    return types.SimpleNamespace(directory=folder, config=experiment(), grid=grid, points=points, seeds=SEEDS)


def written(over: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch, **scores: float) -> set[str]:
    sweep = sweep_of(parse_grid(over), folder)
    members = len(sweep.points) * SEEDS
    # Without images there is nothing to traverse.
    subject = types.SimpleNamespace(has_images=False)
    monkeypatch.setattr(pictures, "member_subjects", lambda sweep, state: [subject] * members)
    results = [{"validation_loss": float(i), **{name: i + one for name, one in scores.items()}} for i in range(members)]
    paths = pictures.write_sweep_pictures(sweep, types.SimpleNamespace(), results)  # pyright: ignore
    for path in paths:
        assert matplotlib.image.imread(path).std() > 0.01
    return {path.stem for path in paths}


def test_scores_are_drawn_against_each_number_that_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = written(["beta=1,2", "learning_rate=1e-3,1e-4"], tmp_path, monkeypatch, elbo=-3.0, rate=1.0)
    assert found == {"curves", "scores-beta", "scores-learning_rate"}


def test_one_value_is_no_axis_and_no_numbers_are_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(["beta=1"], tmp_path, monkeypatch, elbo=-3.0) == {"curves"}
    assert written(["beta=1,2"], tmp_path, monkeypatch) == {"curves"}


def test_a_score_at_each_point_is_its_moments_and_a_hole_where_a_member_diverged() -> None:
    points = {"beta=1": [{"elbo": -3.0}, {"elbo": -5.0}], "beta=2": [{"elbo": -3.0}, {}]}
    chosen = [{("objective", "beta"): beta} for beta in (1.0, 2.0)]
    first, second = pictures._series(points, chosen, "elbo") or []
    assert first == pytest.approx((-4.0, 1.0))
    assert np.isnan(second).all()
    assert pictures._series(points, chosen, "mig") is None
