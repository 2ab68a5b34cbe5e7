"""A mixture of normals (VampPrior) over a batch: log-density and its gradient, against the distances one by one.

    python benchmarks/mixture.py [REPEATS]

100 values of 40 dimensions under 500 components, compiled, all forms alternating in one run. Wide components (σ = 0.3)
are computed by products of matrices, narrow ones (σ = 0.01) by differences, since the products would lose the digits.
"""

import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj

BATCH, COMPONENTS, SIZE = 100, 500, 40
WIDTHS = {"wide": 0.3, "narrow": 0.01}


def one_by_one(mean: Any, stddev: Any, value: Any) -> Any:
    found = jax.vmap(lambda m, s: vj.DiagNormal(m, s).log_prob(value))(mean, stddev)
    return jax.nn.logsumexp(found - jnp.log(COMPONENTS))


def package(mean: Any, stddev: Any, value: Any) -> Any:
    return vj.Mixture(jnp.zeros(COMPONENTS), vj.DiagNormal(mean, stddev)).log_prob(value)


def main(repeats: int) -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    mean = jax.random.normal(keys[0], (COMPONENTS, SIZE))
    values = jax.random.normal(keys[1], (BATCH, SIZE))

    def compiled(one: Any) -> Any:
        def loss(mean: Any, stddev: Any, values: Any) -> Any:
            return jnp.mean(jax.vmap(lambda value: one(mean, stddev, value))(values))

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))

    forms = {"one by one": compiled(one_by_one), "package": compiled(package)}
    runs = {
        (name, width): (form, (mean, jnp.full_like(mean, stddev), values))
        for width, stddev in WIDTHS.items()
        for name, form in forms.items()
    }
    found = {row: float(jax.block_until_ready(form(*arguments))[0]) for row, (form, arguments) in runs.items()}
    seconds: dict[tuple[str, str], list[float]] = {row: [] for row in runs}
    for _ in range(repeats):
        for row, (form, arguments) in runs.items():
            start = time.perf_counter()
            jax.block_until_ready(form(*arguments))
            seconds[row].append(time.perf_counter() - start)
    medians = {row: float(np.median(times)) for row, times in seconds.items()}
    for name, width in runs:
        print(f"{name:10s} {width:6s} {1e3 * medians[name, width]:8.2f} ms   log p {found[name, width]:.4f} nats")
    for width in WIDTHS:
        print(f"ratio, {width}: {medians['one by one', width] / medians['package', width]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
