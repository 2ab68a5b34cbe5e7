"""log p(x) by annealed importance sampling, which needs no good encoder, and a bound on its error from both sides."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from vae_jax.core.errors import RequestError
from vae_jax.core.trees import num_examples
from vae_jax.evaluate.annealed import ais, bdmc
from vae_jax.evaluate.batched import mapped, mean_log_marginal
from vae_jax.evaluate.hamiltonian import check_real_codes
from vae_jax.evaluate.statistics import standard_error
from vae_jax.measure.likelihood import example_log_marginals
from vae_jax.measure.measurement import Measurement, Options
from vae_jax.measure.resumable import finished, resumable
from vae_jax.measure.subject import Subject, stream
from vae_jax.train.files import evaluation_file

# Examples annealed at a time: what is lost by an interruption.
_BATCH = 10


class _AnnealedExample(NamedTuple):
    """log p(x) of an example with its error and the share of accepted moves, and the gap on one the model drew."""

    value: Any
    standard_error: Any
    acceptance: Any
    gap: Any


def check_annealed(subject: Subject) -> None:
    """RequestError or TypeError where annealing has no meaning for a model, or nothing beside it."""
    if not subject.has_density:
        raise RequestError("--ais stands beside importance sampling, for which this posterior has no density.")
    check_real_codes("--ais", subject.density.prior(subject.params))


def annealed(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """log p(x) of the first `annealed_examples` test examples by annealed importance sampling, and the gap of BDMC.

    The gap is the mean of upper minus lower bound over as many examples that the model draws itself. The importance-
    weighted mean over the same examples stands beside it. Interrupted, it goes on where it stopped when called again.
    """
    if not options.annealed_examples:
        return {}
    vae, params = subject.density, subject.params
    k = found.get("k", subject.run.config.evaluate.evaluation_samples)
    x = jax.tree.map(lambda leaf: leaf[: options.annealed_examples], subject.examples)
    ais_key, bdmc_key = jax.random.split(stream(options.seed, "annealed"))
    sizes = {"num_chains": options.chains, "num_temperatures": options.temperatures}

    def one(i: Any, x: Any) -> _AnnealedExample:
        estimate = ais(vae, params, jax.random.fold_in(ais_key, i), x, **sizes)
        # Only the number of examples counts here: the model draws its own.
        drawn = bdmc(vae, params, jax.random.fold_in(bdmc_key, i), **sizes)
        gap = drawn.upper.value - drawn.lower.value
        return _AnnealedExample(estimate.value, estimate.standard_error, estimate.acceptance, gap)

    def batches_from(first: int) -> Iterator[_AnnealedExample]:
        return mapped(one, x, first=first, batch_size=_BATCH)

    path = evaluation_file(subject.run.directory, subject.snapshot, "-annealed.partial.npz")
    fingerprint, size = f"{subject.fingerprint_of(x)} {sizes} seed={options.seed}", num_examples(x)
    steps = resumable(path, fingerprint, batches_from, size=size, kind=_AnnealedExample)
    chains = finished(steps, size, options.console, "annealing")
    gap = np.asarray(chains.gap, np.float64)
    sampled = jax.tree.map(lambda leaf: leaf[:size], example_log_marginals(subject, options, k))
    mean = mean_log_marginal(sampled, num_samples=k)
    return {
        "ais_log_marginal": float(np.mean(chains.value, dtype=np.float64)),
        "ais_monte_carlo_error": float(np.sqrt(np.sum(np.square(chains.standard_error, dtype=np.float64))) / size),
        "ais_test_examples_error": float(standard_error(np.asarray(chains.value))),
        "ais_examples": size,
        "ais_temperatures": options.temperatures,
        "ais_chains": options.chains,
        "ais_acceptance": float(np.mean(chains.acceptance)),
        "bdmc_gap": float(gap.mean()),
        "bdmc_gap_error": float(standard_error(gap)),
        "ais_sampled_log_marginal": mean.value,
        "ais_sampled_k": k,
        "ais_sampled_monte_carlo_error": mean.monte_carlo_error,
    }


_ROWS = (
    ("log p(x)", "{ais_log_marginal:.3f}", "first {ais_examples} examples, {ais_temperatures} temperatures"),
    ("± Monte Carlo", "{ais_monte_carlo_error:.3f}", "from {ais_chains} chains, accepting {ais_acceptance:.0%}"),
    ("± test examples", "{ais_test_examples_error:.3f}", "from the choice of examples"),
    (
        "by importance",
        "{ais_sampled_log_marginal:.3f} ± {ais_sampled_monte_carlo_error:.3f}",
        "importance-weighted, k = {ais_sampled_k}, the same examples",
    ),
    ("BDMC gap", "{bdmc_gap:.3f} ± {bdmc_gap_error:.3f}", "upper minus lower bound on the model's own draws"),
)

ANNEALED = Measurement(
    "annealed importance sampling",
    lambda subject: subject.has_density,
    annealed,
    rows=(("annealed importance sampling", _ROWS),),
)
