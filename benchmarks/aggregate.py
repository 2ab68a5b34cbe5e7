"""How far the minibatch estimates of total correlation and index code are off, against dataset and batch size.

    python benchmarks/aggregate.py [PICTURE]

Posteriors N(mu_n, 0.5² I) in four dimensions whose means are drawn once from a correlated normal; the truth for each N
is the same estimate with the whole dataset as the batch, over many draws. Each point is the mean over 400 batches drawn
without replacement; bars are standard errors. Nats.
"""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import vae_jax as vj
from vae_jax.objectives.aggregate import dimension_log_probs, split_rate, stratified_log_weights, weighted_log_weights

SIZE, NOISE, BATCHES = 4, 0.5, 400
DATASETS, SIZES = (256, 1024, 4096, 16384), (16, 32, 64, 128, 256)
SCHEMES = {"weighted": weighted_log_weights, "stratified": stratified_log_weights}


def means(count: int) -> jax.Array:
    random = np.random.default_rng(0)
    covariance = 0.6 * np.ones((SIZE, SIZE)) + 0.4 * np.eye(SIZE)
    return jnp.asarray(random.multivariate_normal(np.zeros(SIZE), covariance, count), jnp.float32)


@partial(jax.jit, static_argnames=("batch", "scheme", "batches"))
def estimates(mean: jax.Array, key: jax.Array, batch: int, scheme: str, batches: int) -> Any:
    """The parts of the rate of `batches` batches, `[batches]` each."""
    count = len(mean)

    def one(key: jax.Array) -> Any:
        rows_key, noise_key = jax.random.split(key)
        rows = jax.random.choice(rows_key, count, (batch,), replace=False)
        posteriors = vj.DiagNormal(mean[rows], jnp.full((batch, SIZE), NOISE))
        codes = posteriors.mean + NOISE * jax.random.normal(noise_key, (batch, SIZE))
        return split_rate(posteriors, vj.standard_normal(SIZE), codes, SCHEMES[scheme](batch, count))

    return jax.lax.map(one, jax.random.split(key, batches))


@jax.jit
def truth(mean: jax.Array, key: jax.Array) -> Any:
    """Index code and total correlation by one code of every posterior, against all of them."""
    posteriors = vj.DiagNormal(mean, jnp.full(mean.shape, NOISE))

    def one(at: Any) -> Any:
        posterior, key = at
        code = posterior.sample(key)
        every = jax.vmap(lambda q: dimension_log_probs(q, code))(posteriors)
        joint = jax.nn.logsumexp(every.sum(axis=1)) - jnp.log(len(mean))
        product = jnp.sum(jax.nn.logsumexp(every, axis=0) - jnp.log(len(mean)))
        return jnp.stack([posterior.log_prob(code) - joint, joint - product])

    return jax.lax.map(one, (posteriors, jax.random.split(key, len(mean))), batch_size=64).mean(axis=0)


def main(picture: Path) -> None:
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    for count in DATASETS:
        mean = means(count)
        exact = np.mean([truth(mean, jax.random.key(i)) for i in range(max(1, 16384 // count))], axis=0)
        print(f"N = {count}: index code {exact[0]:.3f}, total correlation {exact[1]:.3f} nats")
        for column, scheme in enumerate(SCHEMES):
            sizes = [batch for batch in SIZES if batch <= count]
            rows = []
            for batch in sizes:
                found = estimates(mean, jax.random.key(batch), batch, scheme, BATCHES)
                for part, value in ((0, found.index_code), (1, found.total_correlation)):
                    off = np.asarray(value, np.float64) - exact[part]
                    rows.append((part, batch, off.mean(), off.std(ddof=1) / np.sqrt(BATCHES)))
            for part, title in enumerate(("index code", "total correlation")):
                chosen = [row[1:] for row in rows if row[0] == part]
                batch, bias, error = np.array(chosen).T
                axes = grid[part, column]
                axes.errorbar(batch, bias, error, marker="o", markersize=3, label=f"N = {count}")
                axes.set_title(f"{title}, {scheme}", fontsize=10)
                shown = "  ".join(f"B={b:.0f}: {x:+.3f}" for b, x in zip(batch, bias, strict=True))
                print(f"  {scheme:10s} {title:17s} {shown}")
    for axes in grid.ravel():
        axes.axhline(0.0, color="0.5", linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_ylabel("estimate - truth (nats)")
        axes.grid(alpha=0.3)
    for axes in grid[1]:
        axes.set_xlabel("batch size")
    grid[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(picture, dpi=150)
    print(f"written: {picture}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/aggregate.png"))
