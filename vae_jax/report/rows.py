"""Tables that a model gives back row by row: gaps filled, and scores of how strange a row is."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.checks import check_count
from vae_jax.core.errors import RequestError
from vae_jax.core.files import check_ending
from vae_jax.data.columns import Column, raw_values
from vae_jax.data.own import read_all_cells
from vae_jax.data.table import write_table, write_texts
from vae_jax.distributions import Masked, Observed
from vae_jax.evaluate.anomaly import anomaly_score, anomaly_threshold
from vae_jax.evaluate.batched import CHUNK, examples_at_once, map_batches, mapped
from vae_jax.evaluate.impute import impute
from vae_jax.measure.subject import Subject
from vae_jax.models.vae import VAE
from vae_jax.report.arrays import examples_like, reading_of_run

# Completions that a typical value is found from.
_COMPLETIONS = 200


def write_imputed(subject: Subject, *, data: str, out: Path, draws: int, samples: int, seed: int) -> tuple[Path, int]:
    """The table `data` with its gaps filled, and how many were.

    With `draws` 0 each gap has its typical value given the rest of the row: the mean of reals, the median of counts,
    the most frequent choice. Else so many completed tables follow each other, with their number in a column `draw`.
    RequestError unless the model is one of columns.
    """
    check_count("impute", "--samples", samples)
    if draws < 0:
        raise RequestError(f"--draws must be at least 0, got {draws}.")
    columns = subject.run.dataset.columns
    if columns is None:
        raise RequestError(
            f"{subject.run.directory} is no model of a table with gaps. Train one: vae-jax train table "
            f"--dataset {data}."
        )
    _check_density(subject)
    check_ending(out, ".csv", ".parquet")
    x = examples_like(subject, data, None).train.x
    # Without --draws a batch of completions is made one row each before the next batch, so that no more are held.
    fills = [
        (rows, completed if draws else _typical(columns, x[rows], completed)[:, None])
        for rows, completed in _completed(subject, x, draws=draws or _COMPLETIONS, samples=samples, seed=seed)
    ]
    # What was observed, or is nothing to the model, is given back as it was.
    raw = read_all_cells(data, reading_of_run(subject.run), columns)
    if draws and "draw" in raw:
        raise RequestError(f"{data} has a column draw, and --draws writes one: give yours another name.")
    as_text = out.suffix == ".csv" and all(cells.texts is not None for cells in raw.values())
    kept = {name: cells.known(as_text=as_text) for name, cells in raw.items()}
    written: dict[str, list[Any]] = {name: [] for name in (*raw, *(["draw"] if draws else []))}
    for number in range(max(draws, 1)):
        table = x.copy()
        for rows, drawn in fills:
            table[rows] = drawn[:, number]
        filled = {
            column.name: raw[column.name].filled(raw_values(column, table[:, j]), as_text=as_text)
            for j, column in enumerate(columns)
        }
        cells = {"draw": [number] * len(x)} | kept | filled
        for name, values in written.items():
            values.extend(cells[name])
    (write_texts if as_text else write_table)(out, written)
    return out, sum(raw[column.name].values.count(None) for column in columns)


def write_anomalies(
    subject: Subject, *, data: str, data_dir: Path | None, out: Path, samples: int, false_alarms: float, seed: int
) -> tuple[Path, float, int]:
    """A table with `score`, −log p(x) in nats, and whether it is `strange`, for each example of `data`; the threshold
    and how many are above it.

    The threshold is exceeded by a share of at most `false_alarms` of new ordinary examples; it is found on the test
    split, which the model was not trained on.
    """
    check_count("anomaly", "--samples", samples)
    _check_density(subject)
    check_ending(out, ".csv", ".parquet")
    source = examples_like(subject, data, data_dir)
    ordinary = _scores(subject, subject.examples, samples, seed)
    threshold = float(anomaly_threshold(jnp.asarray(ordinary), false_alarms=false_alarms))
    scores = _scores(subject, source.train, samples, seed + 1, lambda rows: subject.seen(source, rows))
    # A score that is no number is as strange as any.
    strange = ~(scores <= threshold)
    rows = {"row": list(range(len(scores))), "score": scores.tolist(), "strange": strange.tolist()}
    write_table(out, rows)
    return out, threshold, int(strange.sum())


def _check_density(subject: Subject) -> None:
    if not subject.has_density or subject.is_conditional:
        raise RequestError(f"the model of {subject.run.directory} has no log p(x) of an example by itself.")


def _scores(
    subject: Subject, x: Any, samples: int, seed: int, prepare: Callable[[Any], Any] | None = None
) -> np.ndarray:
    """`[n]`: −log p of each example, nats. `prepare` as for `map_batches`."""
    vae, key = subject.density, jax.random.key(seed)

    def score(i: Any, x: Any) -> Any:
        return anomaly_score(vae, subject.params, jax.random.fold_in(key, i), x, num_samples=samples)

    # Whatever --samples, an example is decoded from CHUNK codes at a time.
    return map_batches(score, x, prepare=prepare, batch_size=examples_at_once(x, min(samples, CHUNK)))


def _completed(
    subject: Subject, x: np.ndarray, *, draws: int, samples: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of `x` `[n, d]` the rows that have a gap, in batches: their numbers `[b]`, and `[b, draws, d]` with their gaps
    drawn given the rest.
    """
    vae, key = subject.density, jax.random.key(seed)
    masked = VAE(
        encode=lambda params, row: vae.encode(params, jnp.where(row.mask, row.value, jnp.nan)),
        decode=lambda params, z: Masked(vae.decode(params, z)),
        prior=vae.prior,
    )

    def complete(place: Any, numbered: Any) -> Any:
        # The key is of its number in the table: what is drawn for a row does not depend on which others have gaps.
        del place
        i, row = numbered
        seen = Observed(row, ~jnp.isnan(row))
        return impute(masked, subject.params, jax.random.fold_in(key, i), seen, num_samples=samples, num_draws=draws)

    left = np.flatnonzero(np.isnan(x).any(axis=1))
    for completed in mapped(complete, (left, x[left])):
        rows, left = left[: len(completed)], left[len(completed) :]
        yield rows, completed


def _typical(columns: tuple[Column, ...], x: np.ndarray, completed: np.ndarray) -> np.ndarray:
    """`[n, d]`: the rows with the typical value of their completions in each gap."""
    filled = x.copy()
    for j, column in enumerate(columns):
        gaps, drawn = np.flatnonzero(np.isnan(x[:, j])), completed[:, :, j]
        for row in gaps:
            if column.values:
                filled[row, j] = np.bincount(drawn[row].astype(int)).argmax()
            else:
                filled[row, j] = drawn[row].mean() if column.family == "reals" else np.floor(np.median(drawn[row]))
    return filled
