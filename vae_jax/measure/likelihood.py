"""How likely a model finds the test examples, and at what rate and distortion its code tells them."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import RequestError
from vae_jax.core.trees import num_examples
from vae_jax.evaluate.batched import MeanLogMarginal, log_marginal_batches, mean_log_marginal
from vae_jax.evaluate.elbo_surgery import bits_per_dimension, rates_distortions
from vae_jax.evaluate.likelihood import LogMarginal
from vae_jax.evaluate.pareto import tail_size
from vae_jax.evaluate.usage import active_units, latent_means
from vae_jax.measure.measurement import Measurement, Options, Section
from vae_jax.measure.resumable import finished, read_estimates, resumable, write_estimates
from vae_jax.measure.subject import Subject, stream
from vae_jax.systems.parts.families import POSTERIORS
from vae_jax.systems.registry import spec_of
from vae_jax.train.files import evaluation_file, is_of_a_command

# Where more than this share of examples has too heavy weights, k was not enough. It then grows, to this many times the
# config's, and as long as all examples together take so many draws.
_FEW, _MOST_GROWTH, _MOST_DRAWS = 0.1, 16, 5_000_000

# A number of z is active where its posterior mean varies by more than this share of the variance of the usual prior.
_LEAST_SHARE = 0.01

# A rate below this says nothing of x, in nats.
_LEAST_RATE = 0.1

# Draws of z for rate and distortion, and of many layers, which are dear.
_DRAWS, _PATH_DRAWS = 100, 10


def example_log_marginals(subject: Subject, options: Options, k: int) -> LogMarginal:
    """The estimates of log p(x) of every test example by k samples. RequestError where one of them is not finite.

    They are kept in RUN/evaluation.npz, and what is there already is not computed again. Interrupted, it goes on where
    it stopped when called again.
    """
    vae, x = subject.density, subject.examples
    path = evaluation_file(subject.run.directory, subject.snapshot, ".npz")
    fingerprint = f"{subject.fingerprint} k={k} seed={options.seed}"
    estimates = read_estimates(path, fingerprint, LogMarginal)
    measured_now = estimates is None
    if estimates is None:
        key = jax.random.key(options.seed)

        def batches_from(first: int) -> Iterator[LogMarginal]:
            return log_marginal_batches(vae, subject.params, key, x, num_samples=k, first=first)

        size, partial = num_examples(x), path.with_suffix(f".k{k}.partial.npz")
        steps = resumable(partial, fingerprint, batches_from, size=size, kind=LogMarginal)
        estimates = finished(steps, size, options.console, "log p(x)")
    impossible = np.flatnonzero(~np.isfinite(estimates.value))
    if len(impossible):
        raise RequestError(
            f"log p(x) of {subject.run.directory} is {estimates.value[impossible[0]]} for {len(impossible)} of "
            f"{len(estimates.value)} examples, number {impossible[0]} the first: the likelihood cannot give the data. "
            "Nothing was written."
        )
    if measured_now:
        write_estimates(path, fingerprint, estimates)
    return estimates


def enough_samples(subject: Subject, options: Options) -> tuple[LogMarginal, int]:
    """The estimates, and their k: the config's, or where it may grow, fourfold until it is enough or a limit is met."""
    k = subject.run.config.evaluate.evaluation_samples
    most = min(_MOST_GROWTH * k, _MOST_DRAWS // num_examples(subject.examples))
    # Of a stand-in the numbers say nothing, however many samples they are of.
    grows = options.grows and not subject.run.config.data.stand_in
    while True:
        estimates = example_log_marginals(subject, options, k)
        is_short = mean_log_marginal(estimates, num_samples=k).unreliable > _FEW
        if not (is_short and grows) or 4 * k > most:
            return estimates, k
        k *= 4


def likelihood(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """log p(x), its errors, rate and distortion, in nats, and active units of codes that are real numbers."""
    del found
    vae, params, x = subject.density, subject.params, subject.examples
    estimates, k = enough_samples(subject, options)
    code_key, mean_key = jax.random.split(stream(options.seed, "likelihood"))
    draws = 1 if subject.is_certain else _PATH_DRAWS if subject.is_path else _DRAWS
    rate, distortion = rates_distortions(vae, params, code_key, x, num_samples=draws)
    codes = jax.tree.leaves(latent_means(vae, params, mean_key, x))
    # Numbers of codes are names: how far they vary says nothing.
    means = [layer.reshape(len(layer), -1) for layer in codes if jnp.issubdtype(layer.dtype, jnp.inexact)]
    least = _LEAST_SHARE * _prior_variance(subject)
    active = [np.asarray(active_units(jnp.asarray(layer), threshold=least)) for layer in means]
    result = {
        **summary(estimates, k),
        "rate": float(np.mean(rate, dtype=np.float64)),
        "distortion": float(np.mean(distortion, dtype=np.float64)),
    }
    if active:
        result |= {
            "active_units": [int(layer.sum()) for layer in active],
            "latent_size": [len(layer) for layer in active],
        }
    if subject.is_certain:
        # There is nothing to draw.
        result["monte_carlo_error"] = 0.0
        del result["certainty"]
    if warning := _unused_code(result["rate"], result.get("active_units"), subject.run.config):
        result["warning"] = warning
    # A derivation's length says nothing of the string's, and most of it may be its end.
    if subject.is_discrete and subject.grammar is None:
        result["bits_per_dimension"] = float(bits_per_dimension(result["log_marginal"], subject.run.dataset.shape))
    return result


def _prior_variance(subject: Subject) -> float:
    """That of one number of z under the usual prior of its kind: a normal, or one that is the same everywhere."""
    if subject.is_direction:
        return 1.0 / subject.code_size
    model = subject.run.config.model
    if POSTERIORS[model.posterior].space == "choices":
        return (model.classes - 1) / model.classes**2
    return 1.0


def summary(estimates: LogMarginal, k: int) -> dict[str, Any]:
    """What `[n]` estimates by k samples say: their mean, its two errors, and whether k was enough."""
    mean = mean_log_marginal(estimates, num_samples=k)
    return {
        "log_marginal": mean.value,
        "monte_carlo_error": mean.monte_carlo_error,
        "test_examples_error": mean.examples_error,
        "k": k,
        "median_effective_sample_size": mean.ess,
        "fraction_pareto_k_above_0.7": mean.unreliable,
        "elbo": mean.elbo,
        "certainty": _certainty(mean),
    }


def _certainty(mean: MeanLogMarginal) -> str:
    """What the standard error from the samples is worth."""
    if tail_size(mean.num_samples) == 0:
        return f"a lower bound: whether k = {mean.num_samples} is enough is not known of fewer than 25 samples"
    if mean.unreliable > _FEW:
        return (
            f"a lower bound, low by an unknown amount: k = {mean.num_samples} is not enough for {mean.unreliable:.0%} "
            "of the examples (Pareto k above 0.7)"
        )
    return (
        f"± {mean.monte_carlo_error:.3f} from the {mean.num_samples} samples (median effective number {mean.ess:.0f})"
    )


def _weighs_the_kl(config: Experiment) -> bool:
    """Whether a command can make the same run again with flags that weigh its KL."""
    can = is_of_a_command(config) and "objective" in spec_of(config.system).reads
    return can and config.objective.bound == "elbo" and config.objective.estimator in ("analytic", "sampled")


def _unused_code(rate: float, active: list[int] | None, config: Experiment) -> str | None:
    """What is wrong with a code that says nothing of x, and what to do; None where it says something."""
    units = None if active is None else sum(active)
    if rate < _LEAST_RATE:
        known = "" if units is None else f", {units} active units"
        smaller = "smaller, or with fewer --autoregressive-layers" if is_of_a_command(config) else "a smaller network"
        weaker = f"use a weaker decoder ({smaller})"
        flags = ", --beta-warmup, --free-bits or --most-distortion" if _weighs_the_kl(config) else ""
        return (
            f"the decoder ignores z: a rate of {rate:.3f} nats{known}. What z could say is coded "
            f"without it: {weaker}{flags}."
        )
    if units == 0:
        command = "--optimizer adam --learning-rate 1e-3"
        rate_of_adam = command if is_of_a_command(config) else "optax.adam(1e-3)"
        return (
            f"z does not tell examples apart: 0 active units, though its rate is {rate:.1f} nats. q(z | x) is far from "
            f"the prior, and nearly the same for every x. Train anew with {rate_of_adam}."
        )
    return None


_EXAMPLES_ROW = ("± test examples", "{test_examples_error:.3f}", "from the choice of {evaluated_examples} examples")
_UNITS_ROW = ("active units", "{active_units} of {latent_size}", "variance of the posterior mean above 0.01")
LIKELIHOOD_ROWS: Section = (
    "likelihood, nats per test example",
    (
        ("log p(x)", "{log_marginal:.3f}", "importance-weighted, k = {k}: in expectation a lower bound"),
        ("samples", "{k}", "{certainty}"),
        _EXAMPLES_ROW,
        ("effective samples", "{median_effective_sample_size:.1f}", "median over examples, of {k}"),
        ("Pareto k > 0.7", "{fraction_pareto_k_above_0.7:.1%}", "of examples: where not small, k was not enough"),
        ("bits per dimension", "{bits_per_dimension:.4f}", "-log2 p(x) for each element of x"),
        ("ELBO", "{elbo:.3f}", "mean log-weight"),
    ),
)
_ROWS: tuple[Section, ...] = (
    LIKELIHOOD_ROWS,
    (
        "code, nats",
        (
            ("distortion", "{distortion:.3f}", "-E log p(x | z)"),
            ("rate", "{rate:.3f}", "E KL(q(z | x), p(z)) = index code + marginal KL, from more draws"),
            _UNITS_ROW,
        ),
    ),
)
# Where there is one code of x, the bound is log p(x, z) at it, and no draw of another makes it tighter.
_CERTAIN_ROWS: tuple[Section, ...] = (
    (
        "likelihood, nats per test example",
        (
            ("bound", "{elbo:.3f}", "log p(x, z) at the one code z of x"),
            _EXAMPLES_ROW,
            ("bits per dimension", "{bits_per_dimension:.4f}", "-log2 p(x, z) for each element of x"),
        ),
    ),
    (
        "code, nats",
        (
            ("distortion", "{distortion:.3f}", "-log p(x | z)"),
            ("rate", "{rate:.3f}", "-log p(z)"),
            _UNITS_ROW,
        ),
    ),
)
_SCORES = (
    ("log p(x)", "log_marginal", ".2f"),
    ("ELBO", "elbo", ".2f"),
    ("rate", "rate", ".2f"),
    ("distortion", "distortion", ".2f"),
    ("active units", "active_units", ".1f"),
)
_BITS = ("bits", "{bits_per_dimension:.4f} per dimension")
_EXAMPLES = ("± test examples", "{test_examples_error:.2f}, from the choice of {evaluated_examples} examples")
_SEEDS = ("± seeds", "not known: one training seed ({train_seed})")

_VALUE = "{log_marginal:.2f} nats per example, importance-weighted, k = {k}"

LIKELIHOOD = Measurement(
    "likelihood",
    lambda subject: subject.has_density and not subject.is_certain and not subject.is_conditional,
    likelihood,
    _ROWS,
    summary=(
        ("test log p(x)", _VALUE),
        ("Monte Carlo", "{certainty}"),
        _EXAMPLES,
        _SEEDS,
        ("reliability", "examples with a Pareto k of the weights above 0.7: {fraction_pareto_k_above_0.7:.1%}"),
        ("test ELBO", "{elbo:.2f} nats: rate {rate:.2f}, distortion {distortion:.2f}"),
        ("active units", "{active_units} of {latent_size}"),
        _BITS,
        ("warning", "{warning}"),
    ),
    scores=_SCORES,
)

CONDITIONAL_LIKELIHOOD = LIKELIHOOD._replace(
    name="likelihood given the condition",
    answers=lambda subject: subject.has_density and subject.is_conditional,
    summary=(("test log p(x | y)", _VALUE), *LIKELIHOOD.summary[1:]),
)

CERTAIN_LIKELIHOOD = Measurement(
    "likelihood at the one code",
    lambda subject: subject.has_density and subject.is_certain,
    likelihood,
    _CERTAIN_ROWS,
    summary=(
        ("test bound", "{elbo:.2f} nats per example, log p(x, z) at the one code z of x"),
        _EXAMPLES,
        _SEEDS,
        ("parts", "rate {rate:.2f}, distortion {distortion:.2f}"),
        _BITS,
    ),
    scores=(("bound", "log_marginal", ".2f"), *_SCORES[2:]),
)
