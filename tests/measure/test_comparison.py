import dataclasses
import io
import json
import math
import shutil

import numpy as np
import pytest
from rich.console import Console

from tests.runs import changed, experiment, measured, trained
from vae_jax.config import Objective
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.core.files import write_json
from vae_jax.core.seal import sealed
from vae_jax.data.table import write_table
from vae_jax.measure.codes import RECONSTRUCTION
from vae_jax.measure.comparison import _data_of, curves, difference, grouped, read_run, why_not_paired
from vae_jax.measure.evaluation import write_evaluation
from vae_jax.measure.likelihood import LIKELIHOOD
from vae_jax.measure.subject import subject_of
from vae_jax.report.compare import comparison
from vae_jax.train.files import MADE
from vae_jax.train.made import made_of
from vae_jax.train.run import create


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    directories = []
    for beta in (1.0, 3.0):
        for seed in (0, 1):
            config = dataclasses.replace(experiment(), objective=Objective(beta=beta))
            directory = folder / f"beta{beta:g}-{seed}"
            run, state = trained(directory, changed(config, "train", seed=seed))
            write_evaluation(subject_of(run, state), measured(run, state, LIKELIHOOD))
            directories.append(directory)
    return [read_run(directory) for directory in directories]


def test_runs_that_differ_in_their_seed_are_one_row(runs) -> None:
    rows = grouped(runs)
    assert {label: [run.seed for run in members] for label, members in rows.items()} == {
        "beta=1.0": [0, 1],
        "beta=3.0": [0, 1],
    }
    with pytest.raises(RequestError, match="have the same config and seed"):
        grouped([runs[0], runs[0]])


def test_every_part_of_a_config_makes_a_row(runs) -> None:
    """Also what only some systems look at."""
    one, two = grouped(runs)["beta=1.0"]
    for section, fields in (
        ("quantisation", {"codebook_size": 64}),
        ("stages", {"second_stage_rate": 1.0}),
        ("strings", {"grammar": "characters"}),
    ):
        other = two._replace(config=changed(two.config, section, **fields))
        assert [len(row) for row in grouped([one, other]).values()] == [1, 1]
    assert len(grouped([one, two._replace(config=dataclasses.replace(two.config, description="another"))])) == 1
    systems = [one, two._replace(config=dataclasses.replace(two.config, system="info"))]
    assert list(grouped(systems)) == ["system=vae", "system=info"]


def test_the_difference_is_paired_by_seed_and_image(runs) -> None:
    low, high = grouped(runs).values()
    found = difference(high, low)
    each = np.stack([b.log_marginal - a.log_marginal for a, b in zip(low, high, strict=True)])
    np.testing.assert_allclose(found.value, each.mean())
    np.testing.assert_allclose(found.seeds_error, abs(np.subtract(*each.mean(axis=1))) / 2)
    np.testing.assert_allclose(found.examples_error, each.mean(axis=0).std(ddof=1) / np.sqrt(each.shape[1]))
    # Far quieter than the two means taken apart.
    assert found.examples_error < 0.5 * low[0].result["test_examples_error"]
    alone = difference(high[:1], low)
    assert alone.num_seeds == 1
    assert math.isnan(alone.seeds_error)
    # Of another k, other sizes of an image or another grammar it is another quantity.
    for changes in ({"k": 7}, {"shape": [16, 16, 1]}, {"grammar": "characters"}):
        other = [run._replace(result=run.result | changes) for run in high]
        assert difference(other, low) is None
    # So it is of other examples, as pictures cut in another way, or of columns of another family.
    known = [run._replace(data="these") for run in low]
    assert difference([run._replace(data="others") for run in high], known) is None
    assert difference(high, known) is not None, "of version 0.1.0 it is not known"


def test_a_bound_at_one_code_is_no_log_p_of_x(runs) -> None:
    one, _ = grouped(runs)["beta=1.0"]
    certain = one._replace(result={name: value for name, value in one.result.items() if name != "certainty"})
    assert difference([certain], [one]) is None
    assert "the number is importance-weighted and log p(x, z) at one code" in why_not_paired([certain], [one])


def test_the_table_and_the_curves(runs) -> None:
    rows = grouped(runs)
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(comparison(rows))
    text = console.export_text()
    for part in ("beta=1.0", "beta=3.0", "±", "over 2 seeds", "over examples", "B: beta=3.0", "B - A: "):
        assert part in text
    found = curves(rows)
    assert [len(curve) for runs in found.values() for curve in runs] == [3, 3, 3, 3]
    seen = [point[0] for point in found["beta=1.0"][0]]
    assert seen == [32 * run_step for run_step in (12, 24, 36)]


def test_what_does_not_belong_together_is_refused(runs, tmp_path) -> None:
    one, two = grouped(runs)["beta=1.0"]
    with pytest.raises(RequestError, match="differ in their seed alone .*evaluate them again in the same way"):
        grouped([one, two._replace(result=two.result | {"k": 7})])
    copy = tmp_path / "run"
    shutil.copytree(one.directory, copy)
    arrays = dict(np.load(copy / "evaluation.npz"))
    np.savez(copy / "evaluation.npz", **arrays | {"value": arrays["value"] - 1.0})
    with pytest.raises(RequestError, match="are of two evaluations, the later of them unfinished"):
        read_run(copy)
    (copy / "evaluation.json").write_text(json.dumps({"log_marginal": -1.0}))
    with pytest.raises(RequestError, match="lacks test_examples_error, elbo, .*: it is of another version"):
        read_run(copy)


def test_other_test_examples_and_other_families_are_other_data(tmp_path) -> None:
    random = np.random.default_rng(0)
    rows = {"a": random.normal(size=60), "b": random.integers(0, 5, 60)}
    data = set()
    for number, (family, shift) in enumerate((("counts", 0), ("counts", 0), ("reals", 0), ("counts", 1))):
        file = tmp_path / f"t{shift}.csv"
        write_table(file, rows | {"b": rows["b"] + shift})
        config = changed(
            experiment(str(file), batch_size=8), "data", columns=("a=reals", f"b={family}"), stand_in=False
        )
        create(changed(config, "model", likelihood="columns"), tmp_path / f"run{number}")
        data.add(_data_of(tmp_path / f"run{number}"))
    assert len(data) == 3


def test_a_run_without_an_evaluation_says_what_to_do(tmp_path) -> None:
    run, _ = trained(tmp_path / "run")
    with pytest.raises(RequestError, match="was not evaluated yet. Do it with: vae-jax evaluate .*run"):
        read_run(run.directory)
    with pytest.raises(ConfigError, match="holds no run"):
        read_run(tmp_path)


def test_a_run_without_a_density_says_so(tmp_path) -> None:
    config = dataclasses.replace(changed(experiment(), "model", posterior="point"), system="autoencoder")
    run, state = trained(tmp_path / "run", config)
    write_evaluation(subject_of(run, state), measured(run, state, RECONSTRUCTION))
    with pytest.raises(
        RequestError, match=r"run has no log p\(x\) to compare: its system, autoencoder,.*evaluation.json"
    ):
        read_run(tmp_path / "run")


def test_models_made_in_python_are_told_apart(runs, tmp_path) -> None:
    one, two = grouped(runs)["beta=1.0"]
    made = []
    for number, (run, width) in enumerate(((one, 2), (two, 2), (one, 5))):
        directory = tmp_path / str(number)
        directory.mkdir()
        start = {"w": np.full(width, float(number))}
        content = made_of({"model": "m", "start": start}) | {"numbers": {"loss": str(number)}}
        write_json(directory / MADE, sealed(content))
        made.append(run._replace(directory=directory))
    assert [len(row) for row in grouped(made).values()] == [2, 1]
    assert list(grouped([made[0], made[2]])) == [f"run={made[0].directory}", f"run={made[2].directory}"]


def test_a_run_without_a_bound_has_no_curve(runs, monkeypatch) -> None:
    rows = grouped(runs)
    monkeypatch.setattr("vae_jax.measure.comparison.read_metrics", lambda directory: [{"step": 1, "train": {}}])
    with pytest.raises(RequestError, match="has no bound to draw, since its loss is none: leave --picture out"):
        curves(rows)
