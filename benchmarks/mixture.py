"""A mixture of normals (VampPrior) over a batch: log-density and its gradient, against the distances one by one.

    python benchmarks/mixture.py [REPEATS]

100 values of 50 dimensions under 500 components, compiled, both forms alternating in one run.
"""

import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj

BATCH, COMPONENTS, SIZE = 100, 500, 50


def one_by_one(mean: Any, stddev: Any, value: Any) -> Any:
    found = jax.vmap(lambda m, s: vj.DiagNormal(m, s).log_prob(value))(mean, stddev)
    return jax.nn.logsumexp(found - jnp.log(COMPONENTS))


def package(mean: Any, stddev: Any, value: Any) -> Any:
    return vj.Mixture(jnp.zeros(COMPONENTS), vj.DiagNormal(mean, stddev)).log_prob(value)


def main(repeats: int) -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    mean = jax.random.normal(keys[0], (COMPONENTS, SIZE))
    arguments = (mean, jnp.full_like(mean, 0.3), jax.random.normal(keys[1], (BATCH, SIZE)))

    def compiled(one: Any) -> Any:
        def loss(mean: Any, stddev: Any, values: Any) -> Any:
            return jnp.mean(jax.vmap(lambda value: one(mean, stddev, value))(values))

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))

    forms = {"one by one": compiled(one_by_one), "package": compiled(package)}
    values = {name: float(jax.block_until_ready(form(*arguments))[0]) for name, form in forms.items()}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, form in forms.items():
            start = time.perf_counter()
            jax.block_until_ready(form(*arguments))
            seconds[name].append(time.perf_counter() - start)
    medians = {name: float(np.median(times)) for name, times in seconds.items()}
    for name in forms:
        print(f"{name:12s} {1e3 * medians[name]:8.2f} ms   log p {values[name]:.4f} nats")
    print(f"ratio {medians['one by one'] / medians['package']:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
