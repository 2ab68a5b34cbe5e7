import dataclasses
import datetime
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.runs import changed, read_cells, trained
from vae_jax.config.files import load_config
from vae_jax.core.errors import RequestError
from vae_jax.data import Dataset
from vae_jax.data.columns import Column
from vae_jax.data.table import read_table, write_table
from vae_jax.distributions import Observed
from vae_jax.evaluate.batched import mapped
from vae_jax.measure.subject import subject_of
from vae_jax.models.vae import VAE
from vae_jax.report.arrays import examples_like, write_codes, write_samples
from vae_jax.report.rows import _completed, _scores, _typical, write_anomalies, write_imputed

RANDOM = np.random.default_rng(0)
SIZE = 240
AGE = RANDOM.integers(18, 90, SIZE)
COLUMNS = {
    "id": list(range(1, SIZE + 1)),
    "age": AGE.tolist(),
    "size": np.round(2e4 + 300.0 * AGE + RANDOM.normal(0, 100, SIZE), 1).tolist(),
    "town": ["Köln" if age > 50 else "Rome" if age > 30 else "Oslo" for age in AGE],
    "ill": [bool(age > 60) for age in AGE],
    "visits": RANDOM.poisson(AGE / 20).tolist(),
}
GAPS = {
    name: [None if name != "id" and RANDOM.random() < 0.1 else value for value in values]
    for name, values in COLUMNS.items()
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("people ü")
    write_table(folder / "people.csv", GAPS)
    config = changed(load_config("table"), "data", dataset=str(folder / "people.csv"))
    config = changed(changed(config, "train", epochs=300, batch_size=32), "model", hidden=(32,), latent_size=2)
    config = dataclasses.replace(config, evaluate=dataclasses.replace(config.evaluate, evaluation_samples=20))
    run, state = trained(folder / "run", config)
    return subject_of(run, state), str(folder / "people.csv")


def test_drawn_rows_are_a_table_of_words_and_names(run, tmp_path) -> None:
    paths = write_samples(run[0], count=30, seed=0, out=tmp_path / "new.npz")
    assert paths == [tmp_path / "new.npz", tmp_path / "new.csv"]
    drawn, names = read_table(paths[1]).columns, [column.name for column in run[0].run.dataset.columns]
    assert list(drawn) == names
    assert set(drawn["town"].tolist()) <= set(COLUMNS["town"])
    place = names.index("age")
    np.testing.assert_allclose(np.asarray(drawn["age"], float), np.load(paths[0])["x"][:, place], rtol=1e-6)


def test_gaps_are_filled_and_all_else_stays(run, tmp_path) -> None:
    subject, data = run
    path, count = write_imputed(subject, data=data, out=tmp_path / "full.csv", draws=0, samples=50, seed=0)
    before, after = read_table(Path(data)).columns, read_table(path).columns
    assert list(after) == list(before)
    filled = 0
    for name, values in before.items():
        gaps = np.array([value is None or value != value for value in values.tolist()])
        np.testing.assert_array_equal(after[name][~gaps], values[~gaps])
        assert not any(value is None or value != value for value in after[name].tolist())
        filled += gaps.sum()
    assert filled == count > 50
    # Filled by what the rest of the row says: nearer than the mean.
    hidden = np.array([value is None for value in GAPS["size"]])
    truth = np.array(COLUMNS["size"])[hidden]
    spread = np.abs(truth - np.mean(COLUMNS["size"])).mean()
    assert np.abs(after["size"][hidden] - truth).mean() < 0.5 * spread
    # And oftener right than the most frequent town, which about half of the people live in.
    hidden = np.array([value is None for value in GAPS["town"]])
    towns = np.array(COLUMNS["town"])
    most = max(np.mean(towns[hidden] == town) for town in set(COLUMNS["town"]))
    assert np.mean(after["town"][hidden] == towns[hidden]) > max(most, 0.6)


def test_known_cells_keep_their_text(run, tmp_path) -> None:
    subject, _ = run
    lines = ["89492026171000000001,+31,20000.50,Oslo,TRUE,1", "89492026171000000002,31,2e4,NA,FALSE,", "?,40,,Rome,,2"]
    (tmp_path / "t.csv").write_text("\n".join(["id,age,size,town,ill,visits", *lines]))
    options = {"data": str(tmp_path / "t.csv"), "out": tmp_path / "full.csv", "samples": 5, "seed": 0}
    path, count = write_imputed(subject, draws=2, **options)
    assert count == 4
    names, *rows = path.read_text().splitlines()
    assert names == "id,age,size,town,ill,visits,draw"
    for number, (row, line) in enumerate(zip(rows, 2 * lines, strict=True)):
        *cells, draw = row.split(",")
        gaps = {j: cells[j] for j, cell in enumerate(line.split(",")) if j and cell in ("", "NA")}
        assert draw == str(number // 3)
        assert [cell for j, cell in enumerate(cells) if j not in gaps] == [
            cell for j, cell in enumerate(line.split(",")) if j not in gaps
        ]
        assert gaps.get(3, "Oslo") in ("Köln", "Rome", "Oslo")
        assert gaps.get(4, "TRUE") in ("TRUE", "FALSE")
        assert float(gaps.get(2, 1)) > 0
        assert int(gaps.get(5, 0)) >= 0


def test_a_gap_has_the_mean_of_reals_the_median_of_counts_and_the_most_frequent_choice() -> None:
    columns = (
        *(Column("size", "reals"), Column("visits", "counts")),
        *(Column("town", "categories", ("Köln", "Oslo", "Rome")), Column("ill", "bits", (False, True))),
    )
    x = np.array([[np.nan, np.nan, np.nan, np.nan], [5.0, np.nan, 0.0, 1.0]], np.float32)
    first = [[1.0, 0.0, 2.0, 1.0], [2.0, 9.0, 2.0, 0.0], [6.0, 1.0, 1.0, 1.0], [1.5, 1.0, 0.0, 1.0]]
    completed = np.array([first, [[5.0, draw, 0.0, 1.0] for draw in (2.0, 3.0, 4.0, 8.0)]], np.float32)
    np.testing.assert_array_equal(_typical(columns, x, completed), [[2.625, 1.0, 2.0, 1.0], [5.0, 3.0, 0.0, 1.0]])


def test_several_completions_follow_each_other(run, tmp_path) -> None:
    subject, data = run
    path, _ = write_imputed(subject, data=data, out=tmp_path / "draws.parquet", draws=2, samples=50, seed=0)
    after = read_table(path).columns
    assert after["draw"].tolist() == [0] * SIZE + [1] * SIZE
    assert set(after["town"]) == {"Köln", "Rome", "Oslo"}
    assert (after["size"][:SIZE] != after["size"][SIZE:]).sum() == GAPS["size"].count(None)


def _drawn(vae: VAE, params: Any, key: Any, x: Observed, *, num_samples: int, num_draws: int) -> Any:
    """Completions with one number for all gaps of a row, which tells its key."""
    return jnp.where(x.mask, x.value, jnp.floor(2.0 * jax.random.uniform(key, (num_draws, 1))))


def test_only_rows_with_gaps_are_completed_and_a_batch_of_them_is_held(run, tmp_path, monkeypatch) -> None:
    subject, data = run
    completed, held = [], []

    def watched(function: Callable, x: Any) -> Any:
        completed.extend(x[0].tolist())
        return mapped(function, x, batch_size=16)

    def typical(columns: tuple[Column, ...], x: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        held.append(len(drawn))
        return _typical(columns, x, drawn)

    monkeypatch.setattr("vae_jax.report.rows.impute", _drawn)
    monkeypatch.setattr("vae_jax.report.rows.mapped", watched)
    monkeypatch.setattr("vae_jax.report.rows._typical", typical)
    gaps = np.flatnonzero(np.isnan(examples_like(subject, data, None).train.x).any(axis=1))
    write_imputed(subject, data=data, out=tmp_path / "full.csv", draws=0, samples=5, seed=0)
    np.testing.assert_array_equal(completed, gaps)
    assert 50 < len(gaps) == sum(held) < SIZE
    assert max(held) == 16


def test_a_row_is_drawn_by_its_own_number(run, monkeypatch) -> None:
    subject, data = run
    monkeypatch.setattr("vae_jax.report.rows.impute", _drawn)
    x = examples_like(subject, data, None).train.x
    found = {
        row: one
        for rows, drawn in _completed(subject, x, draws=9, samples=5, seed=3)
        for row, one in zip(rows, drawn, strict=True)
    }
    assert list(found) == np.flatnonzero(np.isnan(x).any(axis=1)).tolist()
    for row, one in found.items():
        number = jnp.floor(2.0 * jax.random.uniform(jax.random.fold_in(jax.random.key(3), row), (9, 1)))
        np.testing.assert_array_equal(one, np.where(np.isnan(x[row]), number, x[row]))


def test_rows_without_a_gap_come_back_as_they_are(run, tmp_path) -> None:
    subject, _ = run
    write_table(tmp_path / "t.csv", {name: values[:5] for name, values in COLUMNS.items()})
    for draws in (0, 2):
        options = {"data": str(tmp_path / "t.csv"), "out": tmp_path / "full.csv", "samples": 5, "seed": 0}
        path, count = write_imputed(subject, draws=draws, **options)
        assert count == 0
        times = max(draws, 1)
        assert read_cells(path)["town"] == times * COLUMNS["town"][:5]


def test_samples_of_a_score_are_decoded_a_hundred_at_a_time(run, monkeypatch) -> None:
    subject, data = run
    chunks = []

    def watched(*arguments: Any, num_samples: int, chunk_size: int) -> Any:
        chunks.append((num_samples, chunk_size))
        return SimpleNamespace(value=jnp.zeros(()))

    monkeypatch.setattr("vae_jax.evaluate.anomaly.log_marginal", watched)
    assert _scores(subject, examples_like(subject, data, None).train.x, 5000, 0).shape == (SIZE,)
    assert set(chunks) == {(5000, 100)}


def test_large_examples_are_scored_a_few_at_a_time(run, monkeypatch, seen_at_once) -> None:
    subject, data = run
    x = examples_like(subject, data, None).train.x
    monkeypatch.setattr("vae_jax.evaluate.batched._MOST_DECODED", 7 * 20 * x[0].size)
    _scores(subject, x, 20, 0)
    assert set(seen_at_once[:-1]) == {7}
    assert sum(seen_at_once) == SIZE


def test_examples_are_prepared_for_their_scores_a_batch_at_a_time(run, tmp_path, monkeypatch) -> None:
    subject, data = run
    sizes, prepare_alone = [], Dataset.prepare_alone

    def prepare(dataset: Dataset, key: Any, batch: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(batch["x"]))
        return prepare_alone(dataset, key, batch)

    def score(vae: VAE, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        return jnp.nansum(x) + jax.random.uniform(key)

    monkeypatch.setattr(Dataset, "prepare_alone", prepare)
    monkeypatch.setattr("vae_jax.report.rows.anomaly_score", score)
    options = {"data_dir": None, "out": tmp_path / "a.csv", "samples": 5, "false_alarms": 0.1, "seed": 0}
    found = read_table(write_anomalies(subject, data=data, **options)[0]).columns["score"]
    assert sizes == [100, 100, 40]
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(1), jnp.arange(SIZE))
    expected = np.nansum(examples_like(subject, data, None).train.x, axis=1) + jax.vmap(jax.random.uniform)(keys)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_rows_that_are_unlike_the_others_are_strange(run, tmp_path) -> None:
    subject, data = run
    path, threshold, count = write_anomalies(
        subject, data=data, data_dir=None, out=tmp_path / "a.csv", samples=50, false_alarms=0.1, seed=0
    )
    found = read_table(path).columns
    assert (found["score"] > threshold).sum() == count == sum(found["strange"].tolist())
    assert count < 0.3 * SIZE
    odd = dict.fromkeys(COLUMNS, None) | {"age": [20.0], "size": [9e4], "town": ["Köln"], "ill": [False], "visits": [3]}
    write_table(tmp_path / "odd.csv", odd | {"id": [1]})
    options = {"samples": 50, "false_alarms": 0.1, "seed": 0, "data_dir": None, "out": tmp_path / "b.csv"}
    assert write_anomalies(subject, data=str(tmp_path / "odd.csv"), **options)[2] == 1
    # So far that its score is no number: it stands first where rows are sorted by it.
    write_table(tmp_path / "odd.csv", odd | {"id": [1], "size": [1e30]})
    assert write_anomalies(subject, data=str(tmp_path / "odd.csv"), **options)[2] == 1
    assert read_table(tmp_path / "b.csv").columns["score"][0] > threshold


def test_codes_are_a_table_too(run, tmp_path) -> None:
    subject, data = run
    path = write_codes(subject, data=data, data_dir=None, out=tmp_path / "codes.csv")
    assert list(read_table(path).columns) == ["mean0", "mean1", "stddev0", "stddev1"]
    with pytest.raises(RequestError, match=r"must end in .npz, .csv or .parquet"):
        write_codes(subject, data=data, data_dir=None, out=tmp_path / "codes.txt")


def test_a_model_without_columns_fills_no_gaps(digits, tmp_path) -> None:
    run, state = digits
    with pytest.raises(RequestError, match="no model of a table with gaps. Train one: vae-jax train table"):
        write_imputed(subject_of(run, state), data="digits", out=tmp_path / "x.csv", draws=0, samples=5, seed=0)


@pytest.mark.parametrize("known", [{"has_density": False, "is_conditional": False}, {"is_conditional": True}])
def test_gaps_are_filled_by_a_model_of_the_row_alone(known: dict, tmp_path) -> None:
    run = SimpleNamespace(dataset=SimpleNamespace(columns=("age",)), directory="runs/a")
    subject = SimpleNamespace(run=run, **{"has_density": True} | known)
    with pytest.raises(RequestError, match=r"the model of runs/a has no log p\(x\) of an example by itself"):
        write_imputed(subject, data="people.csv", out=tmp_path / "a.csv", draws=0, samples=5, seed=0)


def test_every_row_stays_in_its_place(run, tmp_path) -> None:
    """Whatever split its file says that it is of, or in whatever file of a folder it stands."""
    subject, _ = run
    kept = {name: values[:60] for name, values in GAPS.items()}
    kept["age"] = [900 if i == 31 else age for i, age in enumerate(kept["age"])]
    plain, apart = tmp_path / "plain.csv", tmp_path / "apart.csv"
    write_table(plain, kept)
    write_table(apart, kept | {"split": [("train", "test", "val")[i % 3] for i in range(60)]})
    found = {}
    for file in (plain, apart):
        path, _ = write_imputed(
            subject, data=str(file), out=tmp_path / f"full-{file.name}", draws=0, samples=50, seed=0
        )
        found[file] = read_table(path).columns
        options = {"data_dir": None, "out": tmp_path / f"strange-{file.name}", "samples": 50}
        path, _, _ = write_anomalies(subject, data=str(file), false_alarms=0.1, seed=0, **options)
        assert np.argmax(read_table(path).columns["score"]) == 31
    assert found[apart].pop("split").tolist() == [("train", "test", "val")[i % 3] for i in range(60)]
    for name, values in found[plain].items():
        np.testing.assert_array_equal(found[apart][name], values)
    folder = tmp_path / "parts"
    folder.mkdir()
    for part, rows in (("train", slice(20, 60)), ("test", slice(0, 20))):
        write_table(folder / f"{part}.csv", {name: values[rows] for name, values in kept.items()})
    path, _ = write_imputed(subject, data=str(folder), out=tmp_path / "f.csv", draws=0, samples=50, seed=0)
    order = [*range(20, 60), *range(20)]
    for name, values in read_table(path).columns.items():
        known = [kept[name][i] is not None for i in order]
        np.testing.assert_array_equal(values[known], found[plain][name][order][known])


def test_no_column_of_the_user_is_written_over(run, tmp_path) -> None:
    subject, data = run
    rows = read_cells(Path(data)) | {"draw": list(range(SIZE))}
    write_table(tmp_path / "t.csv", rows)
    options = {"data": str(tmp_path / "t.csv"), "out": tmp_path / "full.csv", "samples": 5, "seed": 0}
    with pytest.raises(RequestError, match="has a column draw, and --draws writes one: give yours another name"):
        write_imputed(subject, draws=2, **options)
    write_imputed(subject, draws=0, **options)
    assert read_cells(tmp_path / "full.csv")["draw"] == rows["draw"]


def test_a_score_that_is_no_number_is_strange(run, tmp_path, monkeypatch) -> None:
    subject, data = run
    monkeypatch.setattr("vae_jax.report.rows._scores", lambda subject, x, *_: np.r_[np.nan, np.ones(SIZE - 1)])
    monkeypatch.setattr("vae_jax.report.rows.anomaly_threshold", lambda scores, **_: 2.0)
    options = {"data_dir": None, "out": tmp_path / "a.csv", "samples": 5, "false_alarms": 0.1, "seed": 0}
    path, _, count = write_anomalies(subject, data=data, **options)
    assert count == 1
    assert read_table(path).columns["strange"].tolist() == [True] + [False] * (SIZE - 1)


@pytest.mark.filterwarnings("ignore:the table. column large")
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_gaps_of_every_type_are_filled_with_their_like(ending: str, tmp_path) -> None:
    days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=int(n)) for n in RANDOM.integers(0, 900, 60)]
    rows = {
        "day": days,
        "time": [datetime.datetime(day.year, 1, 2, 3, 4) + datetime.timedelta(hours=i) for i, day in enumerate(days)],
        "month": [f"{day.month:02d}" for day in days],
        "large": [2**53 + 7 * int(n) for n in RANDOM.integers(1, 9, 60)],
        "size": np.round(RANDOM.normal(size=60), 3).tolist(),
    }
    # The first row too: what a column is must not be told by what fills it.
    gaps = {
        name: [None if i in (0, 7 + j) else cell for i, cell in enumerate(cells)]
        for j, (name, cells) in enumerate(rows.items())
    }
    data = tmp_path / f"t{ending}"
    write_table(data, gaps)
    config = changed(load_config("table"), "data", dataset=str(data))
    config = changed(changed(config, "train", epochs=1, batch_size=16), "model", hidden=(8,), latent_size=2)
    subject = subject_of(*trained(tmp_path / "run", config))
    path, count = write_imputed(subject, data=str(data), out=tmp_path / f"full{ending}", draws=0, samples=5, seed=0)
    learned = [column.name for column in subject.run.dataset.columns or ()]
    assert {"day", "time", "large", "size"} <= set(learned)
    assert count == 2 * len(learned)
    before, after = read_cells(data), read_cells(path)
    for name in learned:
        kinds = {type(cell) for cell in before[name] if cell is not None}
        assert {type(cell) for cell in after[name]} == kinds
        assert [b for a, b in zip(before[name], after[name], strict=True) if a is not None] == [
            cell for cell in before[name] if cell is not None
        ]
