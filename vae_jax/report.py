"""What a run leaves for people: measurements, samples, codes, and the panel at the end of training."""

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from vae_jax.checks import check_count
from vae_jax.config import ConfigError, to_json
from vae_jax.data import Dataset, Split, binarised, whole
from vae_jax.divergences import kl_terms
from vae_jax.evaluate.batched import (
    encode_dataset,
    join,
    log_marginal_batches,
    mean_log_marginal,
    posterior_means,
)
from vae_jax.evaluate.collapse import active_units
from vae_jax.evaluate.likelihood import LogMarginal
from vae_jax.evaluate.resumable import resumable
from vae_jax.model import VAE, Params
from vae_jax.plots import show_images
from vae_jax.train.run import Run, RunState

# Samples per chunk of the likelihood: 100 examples of 100 samples at 784 pixels are 31 MB.
_CHUNK = 100


def density(run: Run) -> VAE:
    """The run's model as a VAE. ConfigError if its system has no density."""
    if run.system.vae is None:
        raise ConfigError(
            f"the system {run.config.system!r} of {run.directory} has no density, so nothing to measure or sample."
        )
    return run.system.vae


def prepared(run: Run, dataset: Dataset, split: Split) -> Any:
    """Examples of a dataset as the model sees them: with dynamic binarisation, one fixed draw by the data seed."""
    return dataset.prepare(jax.random.key(run.config.data.data_seed), split.batch())["x"]


def evaluate(run: Run, params: Params, *, seed: int = 0, console: Console | None = None) -> dict[str, Any]:
    """Measure on the test split: log p(x), the ELBO, active units, the KL. All in nats, with their protocol.

    Shows its progress on `console`. Interrupted, it goes on where it stopped when called again.
    """
    vae, config = density(run), run.config.evaluate
    x = prepared(run, run.dataset, run.dataset.test)[: config.evaluation_size]
    k, key = config.evaluation_samples, jax.random.key(seed)

    def batches_from(first: int) -> Iterator[LogMarginal]:
        return log_marginal_batches(vae, params, key, x, num_samples=k, first=first, chunk_size=_CHUNK)

    path = run.directory / "evaluation.partial.npz"
    steps = resumable(path, _fingerprint(run, params, k, seed), batches_from, size=len(x))
    estimates = _with_progress(steps, len(x), console)
    mean = mean_log_marginal(estimates, num_samples=k)
    if not math.isfinite(mean.value):
        raise ConfigError(
            f"log p(x) of {run.directory} is {mean.value}: the likelihood cannot give the data. Nothing was written."
        )
    posterior = encode_dataset(vae, params, x)
    active = active_units(jnp.asarray(posterior_means(posterior)))
    kl = jax.vmap(kl_terms, in_axes=(0, None))(posterior, vae.prior(params))
    return {
        "log_marginal": mean.value,
        "monte_carlo_error": mean.monte_carlo_error,
        "test_examples_error": mean.examples_error,
        "k": k,
        "median_effective_sample_size": mean.ess,
        "fraction_pareto_k_above_0.7": mean.unreliable,
        "elbo": mean.elbo,
        "kl": float(jnp.mean(jnp.sum(kl.reshape(len(kl), -1), axis=1))),
        "active_units": int(jnp.sum(active)),
        "latent_size": len(active),
        "unit": "nats per example, mean over the test split",
        "evaluated_examples": mean.num_examples,
        "evaluation_seed": seed,
        "train_seed": run.config.train.seed,
        "likelihood": run.config.model.likelihood,
        **run.dataset.protocol(),
    }


def progress(run: Run, state: RunState) -> dict[str, int]:
    """How far the run was when it was measured: a number of an unfinished run must say so."""
    return {"step": int(state.train.step), "num_steps": run.num_steps, "best_epoch": int(state.best_epoch)}


def _fingerprint(run: Run, params: Params, k: int, seed: int) -> str:
    """What an estimate depends on: the config, the parameters, k and the seed."""
    digest = hashlib.sha256(to_json(run.config).encode())
    for leaf in jax.tree.leaves(params):
        digest.update(np.asarray(leaf).tobytes())
    return f"{digest.hexdigest()} k={k} seed={seed}"


def _with_progress(steps: Iterator[LogMarginal], size: int, console: Console | None) -> LogMarginal:
    """The last of the growing estimates, with a bar on a terminal while they grow."""
    estimates = None
    with Progress(console=console, disable=console is None or not console.is_terminal, transient=True) as bar:
        task = bar.add_task("log p(x)", total=size)
        for estimates in steps:
            bar.update(task, completed=len(estimates.value))
    return join([] if estimates is None else [estimates])


def panel(run: Run, state: RunState, result: dict[str, Any]) -> Panel:
    """The summary at the end of training: every number with its unit, its k and its error."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    examples, seed = result["evaluated_examples"], result["train_seed"]
    epochs = int(state.train.step) // run.steps_per_epoch
    rows: list[tuple[str, str]] = [
        ("test log p(x)", f"{result['log_marginal']:.2f} nats per example, importance-weighted, k = {result['k']}"),
        (
            "± Monte Carlo",
            f"{result['monte_carlo_error']:.3f}, from the {result['k']} samples "
            f"(median effective number {result['median_effective_sample_size']:.0f})",
        ),
        ("± test images", f"{result['test_examples_error']:.2f}, from the choice of {examples} examples"),
        ("± seeds", f"not known: one training seed ({seed})"),
        (
            "reliability",
            "not known: the Pareto k of the weights needs 25 samples or more"
            if math.isnan(result["fraction_pareto_k_above_0.7"])
            else f"Pareto k of the weights above 0.7 for {result['fraction_pareto_k_above_0.7']:.1%} of the examples",
        ),
        ("test ELBO", f"{result['elbo']:.2f} nats, of which KL {result['kl']:.2f}"),
        ("active units", f"{result['active_units']} of {result['latent_size']}"),
        ("data", f"{result['dataset']}, binarisation {result['binarisation']}"),
        ("training", f"{float(state.seconds):.1f} s, {epochs} epochs, best at epoch {int(state.best_epoch)}"),
        ("pictures", str(run.directory / "pictures")),
    ]
    for name, value in rows:
        table.add_row(name, value)
    return Panel(table, title=Text(str(run.directory)), title_align="left", expand=False)


def write_evaluation(run: Run, result: dict[str, Any]) -> Path:
    """RUN/evaluation.json, or RUN/evaluation-epoch-N.json of a snapshot."""
    epoch = result.get("measured_epoch")
    path = run.directory / ("evaluation.json" if epoch is None else f"evaluation-epoch-{epoch}.json")
    # JSON has no infinity and no NaN: what is not known is null.
    known = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in result.items()}
    path.write_text(json.dumps(known, indent=2, allow_nan=False) + "\n")
    return path


def write_samples(run: Run, params: Params, *, count: int, seed: int, out: Path | None) -> list[Path]:
    """`count` draws of x: an .npz with `x`, `mean` (of p(x | z)) and `z`, and a picture of them if x is an image."""
    check_count("sample", "--count", count)
    vae = density(run)
    z_key, x_key = jax.random.split(jax.random.key(seed))
    z = vae.prior(params).sample(z_key, (count,))
    decode = jax.jit(jax.vmap(lambda z, key: (lambda p: (p.sample(key), p.mean))(vae.decode(params, z))))
    x, mean = decode(z, jax.random.split(x_key, count))
    path = out or run.directory / "samples.npz"
    _save_arrays(path, x=x, mean=mean, z=z)
    if not run.dataset.is_image:
        return [path]
    columns = min(12, count)
    rows = count // columns
    grid = mean[: rows * columns].reshape(rows, columns, *mean.shape[1:])
    picture = path.with_suffix(".png")
    show_images(grid, title="samples: mean of p(x | z), z from the prior").savefig(picture, dpi=150)
    return [path, picture]


def write_codes(run: Run, params: Params, *, data: str, data_dir: Path | None, out: Path | None) -> Path:
    """The codes of every example of `data`, in its own order (for TFDS: train, then test): an .npz.

    It holds `mean` and `stddev` of q(z | x), and `label` where there is one. Counts in your own file are on
    the scale that the run was trained on (0..16 for the digits).
    """
    vae, trained = density(run), run.dataset
    folder = data_dir or run.config.data.data_dir
    own_file = data.endswith((".npz", ".npy"))
    source = whole(data, data_dir=folder, seed=trained.seed)
    if source.shape != trained.shape:
        raise ConfigError(
            f"{run.directory} was trained on examples of shape {trained.shape}, but those of {data} have "
            f"{source.shape}."
        )
    if own_file and source.levels not in (None, 1):
        source = whole(data, levels=trained.source_levels, seed=trained.seed)
    if (source.levels is None) != (trained.source_levels is None):
        kinds = [
            "counts" if levels is not None else "real numbers" for levels in (trained.source_levels, source.levels)
        ]
        raise ConfigError(f"{run.directory} was trained on {kinds[0]}, but {data} holds {kinds[1]}.")
    shown = binarised(source, trained.binarisation)
    x = prepared(run, shown, shown.train)
    posterior = encode_dataset(vae, params, x)
    stddev = jax.vmap(lambda q: q.stddev)(posterior)
    labels = {} if source.train.label is None else {"label": source.train.label}
    path = out or run.directory / "codes.npz"
    _save_arrays(path, mean=posterior_means(posterior), stddev=stddev, **labels)
    return path


def _save_arrays(path: Path, **arrays: Any) -> None:
    if path.suffix != ".npz":
        raise ConfigError(f"--out must end in .npz, got {path}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    np.savez(path, **values)
