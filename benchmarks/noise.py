"""How noisy the gradient of a trained model is by each bound and estimator.

    python benchmarks/noise.py RUN [--k 5] [--examples 256] [--draws 12]

The gradient of the mean over a batch of training examples, drawn again and again. Prints the bound in nats, the length
of the mean gradient, and the root mean square of a draw's distance from it.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj

ESTIMATES = {
    "elbo, total": (vj.total(vj.elbo), False),
    "elbo, stl": (vj.stl(vj.elbo), False),
    "iwae, total": (vj.total(vj.iwae), True),
    "iwae, dreg": (vj.dreg(vj.iwae), True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--draws", type=int, default=12)
    arguments = parser.parse_args()
    subject = vj.open_run(Path(arguments.run)).subject
    vae, params, dataset = subject.density, subject.params, subject.run.dataset
    x = subject.prepared(dataset, dataset.train.take(slice(arguments.examples)))
    for name, (estimate, many) in ESTIMATES.items():
        k = arguments.k if many else 1

        def bound(params, key, estimate=estimate, k=k):
            keys = jax.random.split(key, arguments.examples)
            return jnp.mean(jax.vmap(lambda key, x: estimate(vae, params, key, x, num_samples=k))(keys, x))

        slope = jax.jit(jax.value_and_grad(bound))
        drawn = [slope(params, jax.random.key(number)) for number in range(arguments.draws)]
        gradients = np.stack([np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(g)]) for _, g in drawn])
        noise = gradients.var(axis=0, ddof=1, dtype=np.float64).sum()
        # The mean of so many draws is longer than that of all, by their noise.
        signal = np.square(gradients.mean(axis=0, dtype=np.float64)).sum() - noise / arguments.draws
        value = np.mean([value for value, _ in drawn])
        length = max(signal, 0.0) ** 0.5
        print(f"{name:<12} k = {k:<3} {value:9.2f} nats   signal {length:8.2f}   noise {noise**0.5:8.2f}", flush=True)


if __name__ == "__main__":
    main()
