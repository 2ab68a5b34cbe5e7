"""How likely a model finds the test examples, and at what rate and distortion its code tells them."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.errors import RequestError
from vae_jax.core.trees import num_examples
from vae_jax.evaluate.batched import log_marginal_batches, mean_log_marginal
from vae_jax.evaluate.elbo_surgery import bits_per_dimension, rates_distortions
from vae_jax.evaluate.likelihood import LogMarginal
from vae_jax.evaluate.usage import active_units, latent_means
from vae_jax.measure.measurement import Measurement, Options, Section
from vae_jax.measure.resumable import finished, read_estimates, resumable, write_estimates
from vae_jax.measure.subject import Subject, stream
from vae_jax.train.files import evaluation_file

# Samples per chunk of the likelihood: 100 examples of 100 samples at 784 pixels are 31 MB.
_CHUNK = 100

# A rate below this says nothing of x, in nats.
_LEAST_RATE = 0.1

# Draws of z for rate and distortion.
_DRAWS = 100


def example_log_marginals(subject: Subject, options: Options) -> LogMarginal:
    """The estimates of log p(x) of every test example. RequestError where one of them is not finite.

    They are kept in RUN/evaluation.npz, and what is there already is not computed again. Interrupted, it goes on where
    it stopped when called again.
    """
    vae, x, k = subject.density, subject.examples, subject.run.config.evaluate.evaluation_samples
    path = evaluation_file(subject.run.directory, subject.snapshot, ".npz")
    fingerprint = f"{subject.fingerprint} k={k} seed={options.seed}"
    estimates = read_estimates(path, fingerprint, LogMarginal)
    if estimates is None:
        key = jax.random.key(options.seed)

        def batches_from(first: int) -> Iterator[LogMarginal]:
            return log_marginal_batches(vae, subject.params, key, x, num_samples=k, first=first, chunk_size=_CHUNK)

        size, partial = num_examples(x), path.with_suffix(".partial.npz")
        steps = resumable(partial, fingerprint, batches_from, size=size, kind=LogMarginal)
        estimates = finished(steps, size, options.console, "log p(x)")
    impossible = np.flatnonzero(~np.isfinite(estimates.value))
    if len(impossible):
        raise RequestError(
            f"log p(x) of {subject.run.directory} is {estimates.value[impossible[0]]} for {len(impossible)} of "
            f"{len(estimates.value)} examples, number {impossible[0]} the first: the likelihood cannot give the data. "
            "Nothing was written."
        )
    write_estimates(path, fingerprint, estimates)
    return estimates


def likelihood(subject: Subject, options: Options, found: dict[str, Any]) -> dict[str, Any]:
    """log p(x), its errors, rate and distortion, active units, in nats."""
    del found
    vae, params, x = subject.density, subject.params, subject.examples
    k = subject.run.config.evaluate.evaluation_samples
    mean = mean_log_marginal(example_log_marginals(subject, options), num_samples=k)
    code_key, mean_key = jax.random.split(stream(options.seed, "likelihood"))
    draws = 1 if subject.is_certain else _DRAWS
    rate, distortion = rates_distortions(vae, params, code_key, x, num_samples=draws)
    means = [m.reshape(len(m), -1) for m in jax.tree.leaves(latent_means(vae, params, mean_key, x))]
    active = [np.asarray(active_units(jnp.asarray(layer))) for layer in means]
    result = {
        "log_marginal": mean.value,
        "monte_carlo_error": 0.0 if subject.is_certain else mean.monte_carlo_error,
        "test_examples_error": mean.examples_error,
        "k": k,
        "median_effective_sample_size": mean.ess,
        "fraction_pareto_k_above_0.7": mean.unreliable,
        "elbo": mean.elbo,
        "rate": float(np.mean(rate, dtype=np.float64)),
        "distortion": float(np.mean(distortion, dtype=np.float64)),
        "active_units": [int(layer.sum()) for layer in active],
        "latent_size": [len(layer) for layer in active],
    }
    if result["rate"] < _LEAST_RATE or not sum(result["active_units"]):
        result["warning"] = (
            f"the decoder ignores z: a rate of {result['rate']:.3f} nats, {sum(result['active_units'])} active units. "
            "What z could say is coded without it: use a weaker decoder (fewer --autoregressive-layers), "
            "--beta-warmup, --free-bits or --most-distortion."
        )
    # A derivation's length says nothing of the string's, and most of it may be its end.
    if subject.is_discrete and subject.grammar is None:
        result["bits_per_dimension"] = float(bits_per_dimension(mean.value, subject.run.dataset.shape))
    return result


_ROWS: tuple[Section, ...] = (
    (
        "likelihood, nats per test example",
        (
            ("log p(x)", "{log_marginal:.3f}", "importance-weighted, k = {k}: in expectation a lower bound"),
            ("± Monte Carlo", "{monte_carlo_error:.3f}", "from the {k} samples"),
            ("± test examples", "{test_examples_error:.3f}", "from the choice of {evaluated_examples} examples"),
            ("effective samples", "{median_effective_sample_size:.1f}", "median over examples, of {k}"),
            ("Pareto k > 0.7", "{fraction_pareto_k_above_0.7:.1%}", "of examples: where not small, k was not enough"),
            ("bits per dimension", "{bits_per_dimension:.4f}", "-log2 p(x) for each element of x"),
            ("ELBO", "{elbo:.3f}", "mean log-weight"),
        ),
    ),
    (
        "code, nats",
        (
            ("distortion", "{distortion:.3f}", "-E log p(x | z)"),
            ("rate", "{rate:.3f}", "E KL(q(z | x), p(z)) = index code + marginal KL, from more draws"),
            ("active units", "{active_units} of {latent_size}", "variance of the posterior mean above 0.01"),
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
        (
            "± Monte Carlo",
            "{monte_carlo_error:.3f}, from the {k} samples (median effective number "
            "{median_effective_sample_size:.0f})",
        ),
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

# Where there is one code of x, the bound is log p(x, z) at it, and no draw of another makes it tighter.
CERTAIN_LIKELIHOOD = Measurement(
    "likelihood at the one code",
    lambda subject: subject.has_density and subject.is_certain,
    likelihood,
    _ROWS,
    summary=(
        ("test bound", "{elbo:.2f} nats per example, log p(x, z) at the one code z of x"),
        _EXAMPLES,
        _SEEDS,
        ("parts", "rate {rate:.2f}, distortion {distortion:.2f}"),
        _BITS,
    ),
    scores=_SCORES,
)
