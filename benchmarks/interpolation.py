"""The middle of the line and of the arc between two draws of the prior: its norm, and how likely what it decodes to is.

    vae-jax train digits --latent-size 40 --out runs/digits-40
    python benchmarks/interpolation.py runs/digits-40 [--pairs 1000] [--k 200]

log p(x) is of a draw of x at the middle, importance-weighted with k samples, in nats, ± the standard error over the
pairs; beside it that of draws at the ends. Half a minute on two cores.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj
from vae_jax.commands.parse import opened_model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--k", type=int, default=200)
    arguments = parser.parse_args()
    subject = opened_model(arguments.run)
    vae, params = subject.density, subject.params
    start_key, end_key, x_key, k_key = jax.random.split(jax.random.key(0), 4)
    prior = vae.prior(params)
    starts, ends = (prior.sample(key, (arguments.pairs,)) for key in (start_key, end_key))
    middles = {
        "end": starts,
        "middle of the line": jax.vmap(lambda a, b: vj.interpolate(a, b, 3)[1])(starts, ends),
        "middle of the arc": jax.vmap(lambda a, b: vj.interpolate_sphere(a, b, 3)[1])(starts, ends),
    }
    x_keys, k_keys = (jax.random.split(key, arguments.pairs) for key in (x_key, k_key))

    @jax.jit
    def likelihood(z: jax.Array) -> jax.Array:
        def one(z: jax.Array, x_key: jax.Array, k_key: jax.Array) -> jax.Array:
            x = vae.decode(params, z).sample(x_key)
            return vj.iwae(vj.log_weights(vae, params, k_key, x, num_samples=arguments.k))

        return jax.lax.map(lambda each: one(*each), (z, x_keys, k_keys), batch_size=100)

    print(f"{subject.code_size} dimensions, {arguments.pairs} pairs, k = {arguments.k}, seed 0")
    for name, z in middles.items():
        norms, log_p = np.asarray(jnp.linalg.norm(z, axis=1)), np.asarray(likelihood(z))
        error = log_p.std(ddof=1) / len(log_p) ** 0.5
        print(f"{name:19} |z| {norms.mean():5.2f}   log p(x) {log_p.mean():8.2f} ± {error:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
