"""A step of a flow posterior against numpyro's, the price of the path derivative, and compile times.

    python benchmarks/flows.py [REPEATS]

One step is the gradient of the mean of log q(z) − log p(z) over 100 samples of a 50-dimensional flow of 8 inverse
autoregressive layers (hidden 64), for its parameters; numpyro's is built of its own AutoregressiveNN and
InverseAutoregressiveTransform, of the same sizes. Times of one process, taken in turns.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpyro.distributions as nd
from jax.example_libraries import stax
from numpyro.distributions.flows import InverseAutoregressiveTransform
from numpyro.nn import AutoregressiveNN

import vae_jax as vj
from vae_jax.bijections.bijection import Stacked
from vae_jax.bijections.planar import Planar
from vae_jax.distributions import sample_and_log_prob, sample_and_path_log_prob
from vae_jax.flows import Transformed
from vae_jax.nets.flow_layers import FLOWS, stacked_layers

SIZE, LAYERS, HIDDEN, BATCH = 50, 8, 64, 100


def target(z: Any) -> Any:
    return vj.DiagNormal(jnp.full(SIZE, 0.5), jnp.full(SIZE, 0.7)).log_prob(z)


def ours(draw: Callable[..., Any], params: Any, keys: Any) -> Any:
    _, make = FLOWS["iaf"](SIZE, [HIDDEN])
    q = Transformed(vj.standard_normal(SIZE), Stacked(make(params)))

    def one(key: Any) -> Any:
        z, log_q = draw(q, key)
        return log_q - target(z)

    return jnp.mean(jax.vmap(one)(keys))


def numpyros() -> tuple[Any, Callable[[Any, Any], Any]]:
    networks = [
        AutoregressiveNN(
            SIZE,
            [HIDDEN],
            permutation=jnp.arange(SIZE)[:: 1 if i % 2 == 0 else -1],
            nonlinearity=stax.Elu,
        )
        for i in range(LAYERS)
    ]
    params = [init(jax.random.key(i), (SIZE,))[1] for i, (init, _) in enumerate(networks)]

    def loss(params: Any, keys: Any) -> Any:
        z = jax.vmap(lambda key: jax.random.normal(key, (SIZE,)))(keys)
        log_q = nd.Normal(0.0, 1.0).log_prob(z).sum(-1)
        for p, (_, apply) in zip(params, networks, strict=True):
            transform = InverseAutoregressiveTransform(partial(apply, p))
            y, intermediates = transform.call_with_intermediates(z)
            log_q = log_q - transform.log_abs_det_jacobian(z, y, intermediates)
            z = y
        return jnp.mean(log_q - jax.vmap(target)(z))

    return params, loss


def planar_compile_seconds(count: int) -> float:
    keys = jax.random.split(jax.random.key(0), 2)
    u, w = jax.random.normal(keys[0], (2, count, SIZE))
    layers = Planar(u, w, jax.random.normal(keys[1], (count,)))
    estimate = vj.stl(vj.elbo)
    vae = vj.VAE(
        encode=lambda layers, x: Transformed(vj.standard_normal(SIZE), Stacked(layers)),
        decode=lambda layers, z: vj.standard_normal(1),
        prior=lambda layers: vj.DiagNormal(jnp.full(SIZE, 0.5), jnp.full(SIZE, 0.7)),
    )

    def loss(layers, key):
        return estimate(vae, layers, key, jnp.zeros(1), num_samples=1)

    start = time.perf_counter()
    jax.jit(jax.grad(loss)).lower(layers, keys[0]).compile()
    return time.perf_counter() - start


def main(repeats: int) -> None:
    sizes, _ = FLOWS["iaf"](SIZE, [HIDDEN])
    params = stacked_layers(jax.random.key(0), LAYERS, sizes)
    # Away from the identity, where Jacobi's sweeps would end at once.
    params = jax.tree.map(lambda leaf: leaf + 0.05 * jax.random.normal(jax.random.key(1), leaf.shape), params)
    keys = jax.random.split(jax.random.key(2), BATCH)
    their_params, their_loss = numpyros()
    steps = {
        "vae_jax, total": (jax.jit(jax.grad(partial(ours, sample_and_log_prob))), params),
        "vae_jax, path": (jax.jit(jax.grad(partial(ours, sample_and_path_log_prob))), params),
        "numpyro, total": (jax.jit(jax.grad(their_loss)), their_params),
    }
    compiled = {}
    for name, (step, p) in steps.items():
        start = time.perf_counter()
        compiled[name] = step.lower(p, keys).compile()
        print(f"{name:16s} compiles in {time.perf_counter() - start:5.2f} s")
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, (_, p) in steps.items():
            start = time.perf_counter()
            jax.block_until_ready(compiled[name](p, keys))
            times[name].append(time.perf_counter() - start)
    median = {name: sorted(found)[len(found) // 2] for name, found in times.items()}
    for name, seconds in median.items():
        print(f"{name:16s} {1e3 * seconds:7.2f} ms a step, {seconds / median['numpyro, total']:.2f} of numpyro's")
    print(f"80 planar layers, stl: compiles in {planar_compile_seconds(80):.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
