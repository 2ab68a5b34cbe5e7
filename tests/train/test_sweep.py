"""Sweeps: each member does what a run of its config and seed does, in one program with the others."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from tests.runs import changed, console, experiment
from vae_jax.config import Codes, Data, Experiment, Labels, Quantisation, Stages
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.measure.comparison import read_run
from vae_jax.measure.members import measure_members, write_results
from vae_jax.pictures.sweep import write_sweep_pictures
from vae_jax.report.sweep import sweep_table
from vae_jax.train import memory
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import read_metrics
from vae_jax.train.grid import grid_points, parse_grid, sweepable
from vae_jax.train.loop import train
from vae_jax.train.run import create, load_state, open_model, open_run, prepare_run
from vae_jax.train.sweep import create_sweep, open_sweep, prepare_sweep, write_members

BASE = experiment(epochs=2)
GRID = parse_grid(["objective.beta=1,4", "learning_rate=1e-3,3e-3"])


def assert_close_states(found: Any, expected: Any, rtol: float) -> None:
    def close(a: Any, b: Any) -> None:
        if jax.numpy.issubdtype(b.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)

    jax.tree.map(close, found, expected)


def test_every_member_is_its_lone_run_and_is_one(tmp_path: Path) -> None:
    sweep = create_sweep(BASE, GRID, 2, tmp_path / "sweep")
    assert len(sweep.members) == 8
    trained = train(sweep, console())
    assert trained.finished
    folders = write_members(sweep, trained.state)
    assert [folder.name for folder in folders[:3]] == [
        "beta=1,learning_rate=0.001,seed=0",
        "beta=1,learning_rate=0.001,seed=1",
        "beta=1,learning_rate=0.003,seed=0",
    ]
    for number in (0, 7):
        name, config = sweep.members[number]
        run = create(config, tmp_path / name)
        alone = train(run, console()).state
        member = open_run(folders[number])
        # 24 steps: rounding differs, since a product of eight is not computed as eight products.
        assert_close_states(load_state(member)._replace(seconds=alone.seconds), alone, rtol=1e-4)
        for line, other in zip(read_metrics(member.directory), read_metrics(run.directory), strict=True):
            assert line["step"] == other["step"]
            assert line["learning_rate"] == pytest.approx(other["learning_rate"])
            for part in ("train", "validation"):
                assert line[part] == pytest.approx(other[part], rel=1e-4)
    # All were told apart.
    losses = read_metrics(sweep.directory)[-1]["train"]["loss"]
    assert len(set(losses)) == 8


def test_an_interrupted_sweep_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    grid = parse_grid(["beta=1,4"])
    whole = train(create_sweep(BASE, grid, 2, tmp_path / "whole"), console()).state
    config = changed(BASE, "train", save_seconds=0.0, chunk_seconds=1e-6)
    sweep = create_sweep(config, grid, 2, tmp_path / "cut")
    train(sweep, console())
    # Back to an earlier checkpoint, as after a crash.
    checkpoints = Checkpoints(sweep.directory / "checkpoints", read_only=True)
    numbers = checkpoints.numbers()
    checkpoints.close()
    assert len(numbers) == 2
    for number in numbers[1:]:
        (sweep.directory / "checkpoints" / str(number)).rename(tmp_path / str(number))
    again = train(open_sweep(sweep.directory), console())
    assert again.moved
    assert_close_states(again.state._replace(seconds=whole.seconds), whole, rtol=0.0)
    assert [line["epoch"] for line in read_metrics(sweep.directory)] == [1, 2]


def test_patience_waits_for_the_slowest_member(tmp_path: Path) -> None:
    assert create_sweep(BASE, parse_grid(["beta_warmup=0,0.5"]), 1, tmp_path / "sweep").settled_at == 0.5


def test_a_member_that_diverges_leaves_the_others_alone(tmp_path: Path) -> None:
    config = changed(BASE, "optimizer", optimizer="sgd")
    sweep = create_sweep(config, parse_grid(["learning_rate=1e-3,1e6"]), 1, tmp_path / "sweep")
    state = train(sweep, console()).state
    losses = read_metrics(sweep.directory)[-1]["train"]["loss"]
    assert np.isfinite(losses[0])
    assert not np.isfinite(losses[1])
    alone = train(create(sweep.members[0][1], tmp_path / "alone"), console()).state
    best = jax.tree.map(lambda leaf: leaf[0], state.best_params)
    assert_close_states(best, alone.best_params, rtol=1e-4)
    # It has no parameters but those it began with, and these are not what was asked for.
    results = measure_members(sweep, state, console())
    assert results[0]["elbo"] < 0.0
    assert results[1]["parameters_of_epoch"] == 0
    assert not {"elbo", "rate", "reconstruction_error", "active_units"} & set(results[1])
    assert {path.stem for path in write_sweep_pictures(sweep, state, results)} >= {"curves", "scores-learning_rate"}
    json.loads(write_results(sweep, results).read_text())
    shown = console()
    shown.print(sweep_table(sweep, results))
    assert "-" in shown.file.getvalue()


# A config of each system that reads it, with every field that can be swept.
READERS: dict[str, tuple[Experiment, list[str]]] = {
    "vae": (
        changed(BASE, "optimizer", optimizer="adamw", schedule="cosine", warmup_steps=2),
        ["beta", "beta_warmup", "free_bits", "learning_rate", "final_fraction", "weight_decay", "adam_epsilon"],
    ),
    "clipped, averaged": (
        changed(
            dataclasses.replace(BASE, train=dataclasses.replace(BASE.train, average_decay=0.9)),
            "optimizer",
            clip_norm=1.0,
            skip_norm=1e6,
            spectral_weight=0.1,
        ),
        ["clip_norm", "skip_norm", "spectral_weight", "average_decay", "capacity"],
    ),
    "geco": (changed(BASE, "objective", most_distortion=20.0), ["most_distortion"]),
    "renyi": (changed(BASE, "objective", bound="renyi", estimator="total", num_samples=2), ["alpha"]),
    "scale": (
        changed(
            dataclasses.replace(BASE, data=Data("digits", binarisation="none", stand_in=True)),
            "model",
            likelihood="normal",
        ),
        ["initial_scale"],
    ),
    "choices": (
        changed(
            changed(BASE, "model", posterior="concrete", prior="relaxed_choices", classes=4),
            "objective",
            estimator="total",
        ),
        ["temperature", "prior_temperature"],
    ),
    "autoencoder": (
        dataclasses.replace(
            changed(BASE, "model", posterior="unit_point"),
            system="autoencoder",
            codes=Codes(penalty="kl_sparsity", penalty_weight=1.0, corruption="salt_pepper"),
        ),
        ["penalty_weight", "sparsity", "corruption_level"],
    ),
    "info": (dataclasses.replace(BASE, system="info"), ["info_alpha", "info_lambda"]),
    "factor": (dataclasses.replace(BASE, system="factor"), ["critic_rate", "critic_weight"]),
    "tc": (dataclasses.replace(BASE, system="tc"), ["beta", "index_weight", "dimension_weight"]),
    "dip": (dataclasses.replace(BASE, system="dip"), ["off_diagonal_weight", "diagonal_weight"]),
    "vq": (
        dataclasses.replace(
            changed(BASE, "model", network="grid", hidden=(4,)),
            system="vq",
            quantisation=Quantisation(codebook_size=4, code_prior_layers=1, code_prior_width=2),
            stages=Stages(second_stage_at=0.5),
        ),
        ["codebook_decay", "least_use", "commitment", "second_stage_rate"],
    ),
    "m2": (
        dataclasses.replace(BASE, system="m2", labels=Labels(labelled=20, label_batch=10)),
        ["label_weight", "classifier_weight"],
    ),
}


def test_averages_are_kept_where_only_the_grid_asks_for_them(tmp_path: Path) -> None:
    """The config itself has none."""
    sweep = prepare_sweep(BASE, parse_grid(["average_decay=0.5,0.9"]), 1, tmp_path)
    assert BASE.train.average_decay is None
    alone = prepare_run(sweep.members[0][1], tmp_path)
    assert jax.tree.structure(sweep.abstract()) == jax.tree.structure(alone.abstract())


def test_every_real_number_has_a_system_that_sweeps_it() -> None:
    assert {name for _, names in READERS.values() for name in names} == set(sweepable())


@pytest.mark.parametrize("reader", READERS)
def test_every_real_number_can_be_swept(reader: str, tmp_path: Path) -> None:
    config, names = READERS[reader]
    grid = parse_grid([f"{name}=0.5,0.75" if name != "info_lambda" else f"{name}=1,2" for name in names])
    points = grid_points(grid)
    # The first and the last point differ in every number.
    assert len(points) == 2 ** len(names)
    sweep = prepare_sweep(config, {field: values[:1] for field, values in grid.items()}, 1, tmp_path)
    assert len(sweep.members) == 1


def test_bad_sweeps_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "sweep"
    grid = parse_grid(["beta=1,4"])
    with pytest.raises(ConfigError, match="--beta must be at least 0, got -1"):
        create_sweep(BASE, parse_grid(["beta=1,-1"]), 2, directory)
    with pytest.raises(ConfigError, match="--beta must be at least 0, got nan"):
        create_sweep(BASE, parse_grid(["beta=1,nan"]), 2, directory)
    with pytest.raises(ValueError, match="--seeds must be at least 1, got 0"):
        create_sweep(BASE, grid, 0, directory)
    with pytest.raises(ConfigError, match="--snapshots are for one run"):
        create_sweep(changed(BASE, "train", snapshots=(1,)), grid, 2, directory)
    with pytest.raises(ValueError, match="at least 0, got -0.5 from α = 0 and λ = 0.5"):
        create_sweep(dataclasses.replace(BASE, system="info"), parse_grid(["info_lambda=1,0.5"]), 1, directory)
    monkeypatch.setattr(memory, "memory", lambda: 10_000)
    with pytest.raises(ConfigError, match=r"4 members needs about 0\.\d GiB at once.*fewer numbers or seeds"):
        create_sweep(BASE, grid, 2, directory)
    assert not directory.exists()


def test_members_have_names_of_their_own_and_a_sweep_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"would be called beta=1,seed=0: their values must differ in six digits"):
        create_sweep(BASE, parse_grid(["beta=1,1.0000001"]), 1, tmp_path / "twice")
    sweep = create_sweep(BASE, parse_grid(["beta=1,2"]), 1, tmp_path / "sweep")
    for look in (open_run, open_model, read_run):
        with pytest.raises(RequestError, match=r"sweep is a sweep of several runs: name one of them, in .*members"):
            look(sweep.directory)


def test_a_choice_by_a_swept_number_is_refused_by_name(tmp_path: Path) -> None:
    config = changed(BASE, "optimizer", schedule="exponential")
    with pytest.raises(ConfigError, match="--over optimizer.final_fraction: cannot be traced with this config"):
        create_sweep(config, parse_grid(["final_fraction=0.1,0.2"]), 1, tmp_path / "sweep")


def test_a_sweep_warns_as_a_run_does(tmp_path) -> None:
    biased = dataclasses.replace(
        BASE, objective=dataclasses.replace(BASE.objective, bound="iwae", estimator="stl", num_samples=5)
    )
    with pytest.warns(UserWarning, match="--bound iwae --estimator stl is biased.*Unbiased: --estimator dreg"):
        create_sweep(biased, parse_grid(["learning_rate=1e-3,1e-4"]), 1, tmp_path / "sweep")


def test_a_member_has_no_devices_for_other_members(tmp_path) -> None:
    config = changed(experiment("curve"), "compute", mesh=("members=1",))
    sweep = create_sweep(config, {("objective", "beta"): (1.0, 2.0)}, 1, tmp_path / "sweep")
    assert sweep.config.compute.mesh == ("members=1",)
    assert all(member.compute.mesh == () for _, member in sweep.members)
    assert prepare_run(sweep.members[0][1], tmp_path / "member").mesh is None


def test_a_sweep_gives_the_buffers_of_its_state_away(tmp_path) -> None:
    sweep = create_sweep(BASE, parse_grid(["beta=1,2"]), 1, tmp_path / "sweep")
    state = sweep.initial()
    sweep.advance()(state.train, 3)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.train.params))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state.best_params))
