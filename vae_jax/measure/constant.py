"""What a model must exceed: the log-density of a marginal for each element, whatever the rest of the example."""

from typing import Any

import numpy as np
from scipy import stats

from vae_jax.data import Dataset
from vae_jax.data.rows import first_rows
from vae_jax.evaluate.independent import independent_bits, independent_choices, independent_counts, independent_normals
from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.subject import Subject


def constant(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """`constant_log_prob`: nats per test example, of independent elements with the moments of the training examples.

    `worse_than_constant`: why the model finds the data less likely, where it does.
    """
    del options
    dataset = subject.run.dataset
    if dataset.is_binary and not (subject.is_discrete or subject.has_known_likelihood):
        # Of bits it may have probabilities or a density.
        return {}
    if dataset.columns is None and subject.is_discrete and not (dataset.is_binary or dataset.as_counts):
        # Of counts that are given as real numbers there are densities.
        return {}
    nats = _independent(subject, np.asarray(subject.examples))
    if nats is None:
        return {}
    value = float(np.nansum(nats.reshape(len(nats), -1), axis=1).mean())
    result: dict[str, Any] = {"constant_log_prob": value}
    if found["log_marginal"] < value:
        fault = dataset.scale_fault
        cause = "Train for longer." if fault is None else f"The likely cause: {fault}"
        result["worse_than_constant"] = (
            f"the model is worse than a constant: {found['log_marginal']:.4g} nats, where one marginal for each "
            f"element has {value:.4g}. {cause}"
        )
    return result


def _independent(subject: Subject, x: np.ndarray) -> np.ndarray | None:
    """Nats `[n, …]` of each element of examples as the model sees them: a density where it has one, also of bits.

    None where a real column of a table does not vary: a density at its one value is as large as one likes.
    """
    dataset = subject.run.dataset
    train = first_rows(dataset.train.x)
    if dataset.columns is not None:
        return _of_columns(dataset, x)
    if dataset.is_binary and subject.is_discrete:
        return independent_bits(train, x, dataset.levels or 1)
    if dataset.as_counts and subject.is_discrete and subject.is_bounded and dataset.levels is not None:
        return independent_choices(train, x, dataset.levels)
    if dataset.as_counts and subject.is_discrete:
        return independent_counts(train, x)
    return independent_normals(train, x, 1 if dataset.as_counts else dataset.levels or 1)


def _of_columns(dataset: Dataset, x: np.ndarray) -> np.ndarray | None:
    """The same for rows of a table, NaN for a gap."""
    nats = np.full(x.shape, np.nan)
    for j, column in enumerate(dataset.columns or ()):
        train, test = first_rows(dataset.train.x)[:, j], x[:, j]
        train, seen = train[~np.isnan(train)], ~np.isnan(test)
        if not len(train) or not seen.any():
            continue
        if column.values:
            nats[seen, j] = independent_choices(train[:, None], test[seen, None], column.choices - 1)[:, 0]
        elif column.family == "counts":
            nats[seen, j] = independent_counts(train[:, None], test[seen, None])[:, 0]
        elif (spread := train.std(dtype=np.float64)) > 0.0:
            nats[seen, j] = stats.norm.logpdf(test[seen].astype(np.float64), train.mean(dtype=np.float64), spread)
        else:
            return None
    return nats


CONSTANT = Measurement(
    "constant",
    lambda subject: subject.has_density and not subject.is_conditional and subject.grammar is None,
    constant,
    rows=(
        (
            "likelihood, nats per test example",
            (("a constant", "{constant_log_prob:.3f}", "one marginal for each element: what log p(x) must exceed"),),
        ),
    ),
    summary=(
        ("a constant", "{constant_log_prob:.2f} nats: one marginal for each element"),
        ("warning", "{worse_than_constant}"),
    ),
)
