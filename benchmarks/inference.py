"""What an encoder saves: the bound of one example against the time it takes to find q(z | x) or draws of p(z | x).

    vae-jax train digits --out runs/digits
    python benchmarks/inference.py runs/digits [--examples 100] [--out docs/inference.png]

The encoder gives q(z | x) in one pass. Variational inference for each example alone finds the best q of the same family
by gradient, from N(0, I) or from where the encoder ends. A chain of Hamiltonian Monte Carlo draws from p(z | x) itself:
it has no bound, so its row says how long it takes until its draws are worth 100 independent ones. Times are for one
example, of a whole batch compiled at once, the best of three runs. Bounds are ELBOs in nats, means over the test
examples with their standard error, by 1,000 draws with the same noise. About two minutes on two cores.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

import vae_jax as vj
from vae_jax.commands.parse import opened
from vae_jax.evaluate import optimise_posterior, posterior_draws

STEPS = (3, 10, 30, 100, 300, 1000)
DRAWS, ENOUGH = 1000, 100


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """The result of a compiled function, and its shortest time of three, seconds."""
    result = jax.block_until_ready(function(*arguments))
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def effective_draws(z: np.ndarray) -> float:
    """How many independent draws a chain `[n, d]` is worth, for its worst dimension, by batch means."""
    batches = z.reshape(20, -1, z.shape[1]).mean(axis=1)
    of_means, of_draws = batches.var(axis=0, ddof=1) / len(batches), z.var(axis=0, ddof=1)
    return float(np.min(of_draws / np.maximum(of_means, 1e-12)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("docs/inference.png"))
    arguments = parser.parse_args()
    subject = opened(arguments.run)
    vae, params = subject.density, subject.params
    x = jax.tree.map(lambda leaf: leaf[: arguments.examples], subject.examples)
    keys = jax.random.split(jax.random.key(0), arguments.examples)
    ignorant = vae._replace(encode=lambda params, x: vj.standard_normal(subject.code_size))

    @jax.jit
    def elbo(q: Any) -> jax.Array:
        def one(key: jax.Array, q: Any, x: Any) -> jax.Array:
            alone = vae._replace(encode=lambda params, x: q)
            return vj.elbo(vj.log_weights(alone, params, key, x, num_samples=DRAWS))

        return jax.vmap(one)(keys, q, x)

    rows: list[tuple[str, float, np.ndarray]] = []
    q, seconds = timed(jax.jit(jax.vmap(vae.encode, in_axes=(None, 0))), params, x)
    rows.append(("encoder", seconds, np.asarray(elbo(q))))
    for name, model in (("from N(0, I)", ignorant), ("from the encoder", vae)):
        for steps in STEPS:
            find = jax.vmap(lambda key, x: optimise_posterior(model, params, key, x, num_steps=steps))  # noqa: B023
            q, seconds = timed(jax.jit(find), keys, x)
            rows.append((f"{name}, {steps} steps", seconds, np.asarray(elbo(q))))
    chain = jax.jit(jax.vmap(lambda key, x: posterior_draws(vae, params, key, x, num_draws=DRAWS)))
    draws, chain_seconds = timed(chain, keys, x)
    worth = np.mean([effective_draws(np.asarray(z)) for z in draws.z])

    count = arguments.examples
    print(f"{subject.run.directory.name}: {count} test examples, {subject.code_size} dimensions, {DRAWS} draws, seed 0")
    for name, seconds, values in rows:
        error = values.std(ddof=1) / count**0.5
        print(f"{name:28} {1e6 * seconds / count:10.1f} µs   ELBO {values.mean():8.3f} ± {error:.3f}")
    of_enough = chain_seconds / count * (500 + DRAWS * ENOUGH / worth) / (500 + DRAWS)
    print(f"HMC, {ENOUGH} independent draws   {1e6 * of_enough:10.1f} µs   ({DRAWS} draws are worth {worth:.0f})")
    figure = picture(rows, count, of_enough, subject.run.directory.name)
    figure.savefig(arguments.out, dpi=110)
    return 0


def picture(rows: list[tuple[str, float, np.ndarray]], count: int, chain: float, name: str) -> Figure:
    """The bound against the time for one example."""
    figure = Figure(figsize=(6.0, 3.8), layout="constrained")
    axes = figure.subplots()
    _, seconds, values = rows[0]
    axes.plot(seconds / count, values.mean(), "o", color="C3", label="encoder")
    for i, start in enumerate(("from N(0, I)", "from the encoder")):
        own = [(seconds / count, values.mean()) for name, seconds, values in rows if name.startswith(start)]
        axes.plot(*zip(*own, strict=True), "o-", color=f"C{i}", markersize=4, label=f"gradient steps, {start}")
    axes.axvline(chain, color="0.5", linestyle="--", linewidth=1, label=f"HMC: {ENOUGH} independent draws")
    axes.set_xscale("log")
    axes.set(xlabel="seconds for one example", ylabel="ELBO, nats", title=f"{name}: inference, fast and slow")
    axes.legend(frameon=False, fontsize=8, loc="center left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
