"""log p(x) with k = 5000 samples: the package's `log_marginal` against a scan written by hand, and where the time goes.

    python benchmarks/likelihood.py [IMAGES]

The decoder is 50-200-200-784 tanh with a Bernoulli likelihood, in batches of 100 images and chunks of 100 samples. The
scan by hand does the same work with the least that one can write: one key a chunk, a running log-sum-exp, no error, no
effective sample size, no Pareto k. Batches of the two alternate in one run and the ratio is that of the medians. Below
it, programs that do one part of the work alone: the matrix products with tanh, the normal draws, the likelihood.
Last, the memory that XLA plans for k = 100 and for k = 5000.
"""

import itertools
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import vae_jax as vj

K, CHUNK, BATCH, LATENT, HIDDEN, PIXELS = 5000, 100, 100, 50, 200, 784


def weights() -> list[Any]:
    sizes = (LATENT, HIDDEN, HIDDEN, PIXELS)
    keys = jax.random.split(jax.random.key(0), 3)
    pairs = list(itertools.pairwise(sizes))
    return [jax.random.normal(key, pair) / math.sqrt(pair[0]) for key, pair in zip(keys, pairs, strict=True)]


def logits(params: list[Any], z: Any) -> Any:
    first, second, last = params
    return jnp.tanh(jnp.tanh(z @ first) @ second) @ last


MODEL = vj.VAE(
    encode=lambda params, x: vj.DiagNormal(x[:LATENT], jnp.full(LATENT, 0.5)),
    decode=lambda params, z: vj.Bernoulli(logits(params, z)),
    prior=lambda params: vj.standard_normal(LATENT),
)


def package(params: list[Any], key: Any, xs: Any, k: int = K) -> Any:
    keys = jax.random.split(key, len(xs))

    def one(key: Any, x: Any) -> vj.LogMarginal:
        return vj.log_marginal(MODEL, params, key, x, num_samples=k, chunk_size=CHUNK)

    return jax.vmap(one)(keys, xs)


def log_likelihood(out: Any, x: Any) -> Any:
    softplus = jnp.maximum(out, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(out)))
    return jnp.sum(x * out - softplus, axis=-1)


def by_hand(params: list[Any], key: Any, xs: Any) -> Any:
    loc, scale = xs[:, :LATENT], 0.5

    def chunk(total: Any, key: Any) -> tuple[Any, None]:
        eps = jax.random.normal(key, (CHUNK, len(xs), LATENT))
        z = loc + scale * eps
        out = logits(params, z.reshape(-1, LATENT)).reshape(CHUNK, len(xs), PIXELS)
        prior = jnp.sum(-0.5 * jnp.square(z), axis=-1)
        posterior = jnp.sum(-0.5 * jnp.square(eps) - math.log(scale), axis=-1)
        log_w = log_likelihood(out, xs) + prior - posterior
        return jnp.logaddexp(total, jax.nn.logsumexp(log_w, axis=0)), None

    start = jnp.full(len(xs), -jnp.inf)
    return lax.scan(chunk, start, jax.random.split(key, K // CHUNK))[0] - math.log(K)


def products(params: list[Any], key: Any, xs: Any) -> Any:
    def chunk(total: Any, i: Any) -> tuple[Any, None]:
        z = jnp.full((CHUNK * len(xs), LATENT), 0.1 * i)
        return total + jnp.sum(logits(params, z)), None

    return lax.scan(chunk, jnp.zeros(()), jnp.arange(K // CHUNK, dtype=jnp.float32))[0]


def normals(params: list[Any], key: Any, xs: Any) -> Any:
    def chunk(total: Any, key: Any) -> tuple[Any, None]:
        return total + jnp.sum(jax.random.normal(key, (CHUNK * len(xs), LATENT))), None

    return lax.scan(chunk, jnp.zeros(()), jax.random.split(key, K // CHUNK))[0]


def likelihood(params: list[Any], key: Any, xs: Any) -> Any:
    out = jax.random.normal(key, (CHUNK * len(xs), PIXELS))
    seen = jnp.tile(xs, (CHUNK, 1))

    def chunk(total: Any, shift: Any) -> tuple[Any, None]:
        return total + jnp.sum(log_likelihood(out + shift, seen)), None

    return lax.scan(chunk, jnp.zeros(()), jnp.arange(K // CHUNK, dtype=jnp.float32))[0]


def seconds(run: Callable[[], Any]) -> float:
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    params = weights()
    xs = jax.random.bernoulli(jax.random.key(1), 0.3, (images, PIXELS)).astype(jnp.float32)
    programs = {
        "by hand": by_hand,
        "package": package,
        "products": products,
        "normals": normals,
        "likelihood": likelihood,
    }
    compiled = {name: jax.jit(program) for name, program in programs.items()}
    times: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(-1, images // BATCH):
        batch = xs[max(number, 0) * BATCH :][:BATCH]
        for name, program in compiled.items():
            spent = seconds(lambda program=program, batch=batch: program(params, jax.random.key(2), batch))
            # The first round compiles.
            if number >= 0:
                times[name].append(spent)
    median = {name: statistics.median(values) for name, values in times.items()}
    print(f"k = {K}, medians over {images // BATCH} batches of {BATCH} images; 10,000 images take 100 times that")
    for name, value in median.items():
        print(f"{name:12} {value:7.3f} s   {value / median['by hand']:.2f} of the scan by hand")
    sizes = {k: memory(params, xs[:BATCH], k) for k in (100, K)}
    print(f"memory: {sizes[100] / 1e6:.1f} MB for k = 100, {sizes[K] / 1e6:.1f} MB for k = {K}")


def memory(params: list[Any], xs: Any, k: int) -> int:
    """Bytes of temporaries that XLA plans for one batch."""
    lowered = jax.jit(lambda params, key, xs: package(params, key, xs, k)).lower(params, jax.random.key(0), xs)
    planned: Any = lowered.compile().memory_analysis()
    return planned.temp_size_in_bytes


if __name__ == "__main__":
    main()
