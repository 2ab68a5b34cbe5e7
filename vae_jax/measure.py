"""What is measured of a run: numbers on its test split, each with its protocol.

`likelihood` is what every training ends with, `diagnostics` and `annealed` are what `vae-jax evaluate` adds.
"""

import dataclasses
import hashlib
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import Progress

from vae_jax.config import ConfigError, Evaluate
from vae_jax.config_files import to_json
from vae_jax.data import Dataset, Split
from vae_jax.distributions import Certain, DiagNormal, Key, PointMass
from vae_jax.evaluate.annealed import ais, bdmc, check_annealable
from vae_jax.evaluate.batched import (
    Estimates,
    encode_dataset,
    join,
    log_marginal_batches,
    map_batches,
    mapped,
    mean_log_marginal,
)
from vae_jax.evaluate.collapse import active_units, kl_per_dimension, latent_means
from vae_jax.evaluate.elbo_surgery import bits_per_dimension, coding, joint_kl, marginal_kl, rate_distortion
from vae_jax.evaluate.gaps import FAMILIES, inference_gaps
from vae_jax.evaluate.likelihood import LogMarginal
from vae_jax.evaluate.resumable import read_estimates, resumable, write_estimates
from vae_jax.model import VAE, Autoencoder, Params, discretised
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.train.loop import RunState, metrics_file, num_steps, read_metrics
from vae_jax.train.program import num_examples
from vae_jax.train.run import Run

# Samples per chunk of the likelihood: 100 examples of 100 samples at 784 pixels are 31 MB.
_CHUNK = 100

# A rate below this says nothing of x, in nats.
_LEAST_RATE = 0.1

# Draws in all for the splits of the rate.
_CODE_DRAWS = 10_000

# Examples annealed at a time: what is lost by an interruption.
_ANNEALED_BATCH = 10


class _AnnealedExample(NamedTuple):
    """log p(x) of an example with its error and the share of accepted moves, and the gap on one the model drew."""

    value: Any
    standard_error: Any
    acceptance: Any
    gap: Any


def coder(run: Run) -> VAE | Autoencoder:
    """What encodes and decodes. ConfigError if the system has neither."""
    vae = run.system.vae
    if vae is None:
        raise ConfigError(f"the system {run.config.system!r} of {run.directory} has no codes, so nothing to measure.")
    # A model that trains with relaxed choices is a model of choices.
    return discretised(vae) if isinstance(vae, VAE) else vae


def density(run: Run) -> VAE:
    """The run's model as a VAE. ConfigError if its system has no prior."""
    vae = coder(run)
    if not isinstance(vae, VAE):
        raise ConfigError(
            f"the system {run.config.system!r} of {run.directory} has no prior, so there is no log p(x) to measure and "
            "nothing to sample. --system info --info-alpha 1 is an autoencoder with one."
        )
    return vae


def has_likelihood(run: Run, params: Params) -> bool:
    """Whether log p(x) can be had by importance sampling: there is a prior, and the posterior has a density."""
    if not isinstance(run.system.vae, VAE):
        return False
    posterior = encode_one(run.system.vae, params, prepared(run, run.dataset, run.dataset.test.take(slice(1))))
    return not isinstance(posterior, PointMass)


def prepared(run: Run, dataset: Dataset, split: Split) -> Any:
    """Examples of a dataset as the model sees them: with dynamic binarisation, one fixed draw by the data seed."""
    return run.system.example(dataset.prepare(data_key(run), split.batch()))


def measured_examples(run: Run) -> Any:
    """The test examples that a run is measured on, as the model sees them."""
    # Prepared whole, then cut, so that an example's bits do not depend on how many are measured.
    size = run.config.evaluate.evaluation_size
    return jax.tree.map(lambda leaf: leaf[:size], prepared(run, run.dataset, run.dataset.test))


def is_discrete(run: Run) -> bool:
    """Whether log p(x) is a log-probability, not a density."""
    return LIKELIHOODS[run.config.model.likelihood].of in ("bits", "counts")


def evaluation_file(run: Run, epoch: int | None, suffix: str) -> Path:
    """Where the numbers of a run are kept, or those of its snapshot after `epoch`."""
    return run.directory / (f"evaluation{suffix}" if epoch is None else f"evaluation-epoch-{epoch}{suffix}")


def protocol(run: Run, params: Params, *, seed: int = 0) -> dict[str, Any]:
    """What every number of a run must carry with it."""
    x = measured_examples(run)
    return {
        "unit": "nats per example, mean over the test split",
        "density_of": "x given its condition" if isinstance(x, dict) else "x",
        "measured": _fingerprint(run, params, x),
        "evaluated_examples": num_examples(x),
        "evaluation_seed": seed,
        "train_seed": run.config.train.seed,
        "system": run.config.system,
        "likelihood": run.config.model.likelihood,
        "shape": list(run.dataset.shape),
        "grammar": None if run.dataset.grammar is None else run.config.strings.grammar,
        **run.dataset.protocol(),
    }


def check_prior(run: Run, state: RunState) -> None:
    """ConfigError where the parameters of a run are from before its prior was fitted."""
    if not has_prior(run, state):
        raise ConfigError(
            f"the prior over the codes of {run.directory} has not been fitted yet, so there is nothing to sample: that "
            f"begins at step {run.system.prior_from} of {num_steps(run)}, and its parameters are of step "
            f"{int(state.best_epoch) * run.steps_per_epoch}. Go on with: vae-jax resume {run.directory}"
        )


def has_prior(run: Run, state: RunState) -> bool:
    """Whether samples of the model's prior mean anything."""
    return (
        isinstance(run.system.vae, VAE) and not 0 < run.system.prior_from >= int(state.best_epoch) * run.steps_per_epoch
    )


def likelihood(
    run: Run, params: Params, *, epoch: int | None = None, seed: int = 0, console: Console | None = None
) -> tuple[dict[str, Any], LogMarginal]:
    """log p(x), its errors, rate and distortion, active units, in nats; and the estimates of every example.

    These are kept in RUN/evaluation.npz, and what is there already is not computed again. Shows its progress on
    `console`. Interrupted, it goes on where it stopped when called again.
    """
    vae, k = density(run), run.config.evaluate.evaluation_samples
    x, key = measured_examples(run), jax.random.key(seed)

    def batches_from(first: int) -> Iterator[LogMarginal]:
        return log_marginal_batches(vae, params, key, x, num_samples=k, first=first, chunk_size=_CHUNK)

    path = evaluation_file(run, epoch, ".npz")
    measured = _fingerprint(run, params, x)
    fingerprint = f"{measured} k={k} seed={seed}"
    estimates = read_estimates(path, fingerprint, LogMarginal)
    if estimates is None:
        steps = resumable(
            path.with_suffix(".partial.npz"), fingerprint, batches_from, size=num_examples(x), kind=LogMarginal
        )
        estimates = _with_progress(steps, num_examples(x), console, "log p(x)")
    impossible = np.flatnonzero(~np.isfinite(estimates.value))
    if len(impossible):
        raise ConfigError(
            f"log p(x) of {run.directory} is {estimates.value[impossible[0]]} for {len(impossible)} of "
            f"{len(estimates.value)} examples, number {impossible[0]} the first: the likelihood cannot give the data. "
            "Nothing was written."
        )
    mean = mean_log_marginal(estimates, num_samples=k)
    # There may be one code, and no other to draw.
    certain = encode_one(vae, params, x).__class__ is Certain
    if certain:
        mean = mean._replace(monte_carlo_error=0.0)
    write_estimates(path, fingerprint, estimates)
    code_key, mean_key = jax.random.split(_stream(seed, "likelihood"))
    draws = 1 if certain else 100

    def split(i: Any, x: Any) -> Any:
        return rate_distortion(vae, params, jax.random.fold_in(code_key, i), x, num_samples=draws)

    rate, distortion = map_batches(split, x)
    means = [m.reshape(len(m), -1) for m in jax.tree.leaves(latent_means(vae, params, mean_key, x))]
    active = [np.asarray(active_units(jnp.asarray(layer))) for layer in means]
    result = protocol(run, params, seed=seed) | {
        "log_marginal": mean.value,
        "monte_carlo_error": mean.monte_carlo_error,
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
    if is_discrete(run) and run.dataset.grammar is None:
        result["bits_per_dimension"] = float(bits_per_dimension(mean.value, run.dataset.shape))
    return result, estimates


def diagnostics(
    run: Run, params: Params, log_marginal: float, *, seed: int = 0, gap_examples: int = 100
) -> dict[str, Any]:
    """The rate taken apart, the joint KL and its splits, and on `gap_examples` examples (0: none) the inference gaps.

    `log_marginal`: the mean of `likelihood`. What a model has no answer for is left out: all of it for a hierarchy,
    total correlation for a posterior that does not factorise, the joint KL where x is not discrete, repeats, or has a
    condition.
    """
    vae, x = density(run), measured_examples(run)
    code_key, split_key, gap_key = jax.random.split(_stream(seed, "diagnostics"), 3)
    posterior, prior = encode_one(vae, params, x), vae.prior(params)
    result: dict[str, Any] = {}
    if type(posterior) not in FAMILIES:
        return result
    per_dimension = kl_per_dimension(vae, params, x)
    if per_dimension is not None:
        result["kl_per_dimension"] = per_dimension.tolist()
    # Few examples get more draws each, so that the noise does not depend on their number.
    draws = max(1, _CODE_DRAWS // num_examples(x))
    found = jax.jit(lambda params, x: coding(vae, params, code_key, x, num_samples=draws))(params, x)
    for position, name in ((2, "index_code"), (3, "marginal_kl")):
        result[name] = float(getattr(found, name))
        result[f"{name}_error"] = float(found.standard_errors[position])
    result["most_index_code"] = math.log(num_examples(x))
    if isinstance(posterior, DiagNormal) and isinstance(prior, DiagNormal):
        posteriors = encode_dataset(vae, params, x)
        split = jax.jit(lambda posteriors: marginal_kl(posteriors, prior, split_key, num_samples=draws))(posteriors)
        result["total_correlation"] = float(split.total_correlation)
        result["dimension_wise_kl"] = float(jnp.sum(split.dimension_wise))
    # Of x given a condition there is no joint density with the data's own.
    if is_discrete(run) and not isinstance(x, dict) and len(np.unique(np.reshape(x, (len(x), -1)), axis=0)) == len(x):
        joint = joint_kl(found, jnp.asarray(log_marginal), num_examples=num_examples(x))
        result |= {
            f"joint_kl_{name}" if name != "joint" else "joint_kl": float(v) for name, v in joint._asdict().items()
        }
    count = min(gap_examples, num_examples(x))
    if count == 0:
        return result
    options = {"num_samples": 1000, "num_steps": 1000}
    gaps = map_batches(
        lambda i, x: inference_gaps(vae, params, jax.random.fold_in(gap_key, i), x, **options),
        jax.tree.map(lambda leaf: leaf[:count], x),
    )
    for name in ("approximation", "amortisation"):
        values = np.asarray(getattr(gaps, name), np.float64)
        result[f"{name}_gap"] = float(values.mean())
        result[f"{name}_gap_error"] = float(values.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
    result |= {"gap_examples": count, "gap_k": options["num_samples"], "gap_steps": options["num_steps"]}
    return result


def encode_one(vae: VAE | Autoencoder, params: Params, x: Any) -> Any:
    """The abstract posterior of one example: its type, computing nothing."""
    return jax.eval_shape(lambda x: vae.encode(params, x), jax.tree.map(lambda leaf: leaf[0], x))


def check_annealed(run: Run, params: Params) -> None:
    """ConfigError or TypeError where `annealed` has no meaning for a model."""
    check_annealable("--ais", density(run).prior(params))


def annealed(
    run: Run,
    params: Params,
    sampled: LogMarginal | None,
    *,
    examples: int,
    num_temperatures: int,
    num_chains: int = 16,
    epoch: int | None = None,
    seed: int = 0,
    console: Console | None = None,
) -> dict[str, Any]:
    """log p(x) of the first `examples` test examples by annealed importance sampling, and the gap of BDMC.

    The gap is the mean of upper minus lower bound over as many examples that the model draws itself. `sampled`: the
    estimates of `likelihood`, whose mean over the same examples stands beside it. Interrupted, it goes on where it
    stopped when called again.
    """
    vae = density(run)
    x = jax.tree.map(lambda leaf: leaf[:examples], measured_examples(run))
    ais_key, bdmc_key = jax.random.split(_stream(seed, "annealed"))
    options = {"num_chains": num_chains, "num_temperatures": num_temperatures}

    def one(i: Any, x: Any) -> _AnnealedExample:
        found = ais(vae, params, jax.random.fold_in(ais_key, i), x, **options)
        # Only the number of examples counts here: the model draws its own.
        drawn = bdmc(vae, params, jax.random.fold_in(bdmc_key, i), **options)
        return _AnnealedExample(
            found.value, found.standard_error, found.acceptance, drawn.upper.value - drawn.lower.value
        )

    path = evaluation_file(run, epoch, "-annealed.partial.npz")
    fingerprint = f"{_fingerprint(run, params, x)} {options} seed={seed}"

    def batches_from(first: int) -> Iterator[_AnnealedExample]:
        return mapped(one, x, first=first, batch_size=_ANNEALED_BATCH)

    steps = resumable(path, fingerprint, batches_from, size=num_examples(x), kind=_AnnealedExample)
    found = _with_progress(steps, num_examples(x), console, "annealing")
    gap = np.asarray(found.gap, np.float64)

    def error(values: Any) -> float:
        return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan

    result = {
        "ais_log_marginal": float(np.mean(found.value, dtype=np.float64)),
        "ais_monte_carlo_error": float(
            np.sqrt(np.sum(np.square(found.standard_error, dtype=np.float64))) / num_examples(x)
        ),
        "ais_test_examples_error": error(found.value),
        "ais_examples": num_examples(x),
        "ais_temperatures": num_temperatures,
        "ais_chains": num_chains,
        "ais_acceptance": float(np.mean(found.acceptance)),
        "bdmc_gap": float(gap.mean()),
        "bdmc_gap_error": error(gap),
    }
    if sampled is not None:
        k = run.config.evaluate.evaluation_samples
        mean = mean_log_marginal(jax.tree.map(lambda leaf: leaf[:examples], sampled), num_samples=k)
        result |= {"ais_sampled_log_marginal": mean.value, "ais_sampled_k": k}
        result["ais_sampled_monte_carlo_error"] = mean.monte_carlo_error
    return result


def progress(run: Run, state: RunState) -> dict[str, int | float]:
    """How far the run was when it was measured: a number of an unfinished run must say so.

    `parameters_of_epoch`: which parameters were measured.
    """
    return {
        "step": int(state.train.step),
        "num_steps": num_steps(run),
        "parameters_of_epoch": int(state.best_epoch),
        "training_seconds": float(state.seconds),
    }


def snapshot_progress(run: Run, epoch: int) -> dict[str, int | float]:
    """The same of the snapshot after `epoch`: how far the run was then."""
    lines = [line for line in read_metrics(metrics_file(run)) if line["epoch"] == epoch]
    return {
        "step": epoch * run.steps_per_epoch,
        "num_steps": num_steps(run),
        "parameters_of_epoch": epoch,
        "training_seconds": lines[0]["seconds"] if lines else math.nan,
    }


def _fingerprint(run: Run, params: Params, x: Any) -> str:
    """What every measurement depends on: the config (but for k), the parameters and the examples."""
    config = dataclasses.replace(run.config, evaluate=Evaluate())
    digest = hashlib.sha256(to_json(config).encode())
    for leaf in (*jax.tree.leaves(params), *jax.tree.leaves(x)):
        digest.update(repr(np.shape(leaf)).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()


def data_key(run: Run) -> Key:
    """The key of the bits of validation and test."""
    return jax.random.key(run.config.data.data_seed)


def _stream(seed: int, measurement: str) -> Key:
    """A key of its own for each measurement, apart from those of the examples, which are small numbers folded in."""
    return jax.random.fold_in(jax.random.key(seed), np.uint32(zlib.crc32(measurement.encode())))


def _with_progress(steps: Iterator[Estimates], size: int, console: Console | None, name: str) -> Estimates:
    """The last of the growing estimates, with a bar on a terminal while they grow."""
    estimates = None
    with Progress(console=console, disable=console is None or not console.is_terminal, transient=True) as bar:
        task = bar.add_task(name, total=size)
        for estimates in steps:
            bar.update(task, completed=num_examples(estimates))
    return join([] if estimates is None else [estimates])
