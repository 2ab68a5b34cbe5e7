"""One epoch of an MNIST-sized VAE: the package's training program against a scan written by hand.

    python benchmarks/epoch.py

784-200-200-50 tanh, batch 128, dynamic binarisation, ELBO with closed-form KL, Adam; 60,000 random images of
MNIST's shape (speed does not depend on what they show). Both are one compiled program over data on the
device; epochs of the two alternate in one run, and the ratio is that of the medians.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from program import images, program, training_data

from vae_jax.config import Data, Experiment, Model

SIZE, BATCH, LATENT, HIDDEN, EPOCHS = 60_000, 128, 50, (200, 200), 5
STEPS = SIZE // BATCH


def package(x: np.ndarray) -> tuple[Any, Callable[[Any, int], Any]]:
    config = Experiment("a benchmark", Data("random"), Model(hidden=HIDDEN, latent_size=LATENT))
    state, run = program(config, training_data(x), batch_size=BATCH)
    return state, lambda state, epoch: run(state, (epoch + 1) * STEPS)


def by_hand(x: np.ndarray) -> tuple[Any, Callable[[Any, int], Any]]:
    flat, tx = jax.device_put(x.reshape(SIZE, 784)), optax.adam(1e-3)
    sizes = {"encoder": (784, *HIDDEN, 2 * LATENT), "decoder": (LATENT, *HIDDEN, 784)}

    def layers(key: Any, widths: tuple[int, ...]) -> list[Any]:
        pairs = list(itertools.pairwise(widths))
        keys = jax.random.split(key, len(pairs))
        return [
            (jax.random.normal(k, pair) / pair[0] ** 0.5, jnp.zeros(pair[1]))
            for k, pair in zip(keys, pairs, strict=True)
        ]

    def forward(weights: list[Any], h: Any) -> Any:
        for matrix, bias in weights[:-1]:
            h = jnp.tanh(h @ matrix + bias)
        return h @ weights[-1][0] + weights[-1][1]

    def loss(params: Any, key: Any, x: Any) -> Any:
        loc, log_scale = jnp.split(forward(params["encoder"], x), 2, axis=1)
        z = loc + jnp.exp(log_scale) * jax.random.normal(key, loc.shape)
        logits = forward(params["decoder"], z)
        likelihood = jnp.sum(x * logits - jnp.maximum(logits, 0) - jnp.log1p(jnp.exp(-jnp.abs(logits))), axis=1)
        kl = jnp.sum(0.5 * (jnp.exp(2 * log_scale) + loc**2 - 1) - log_scale, axis=1)
        return jnp.mean(kl - likelihood)

    def step(carry: Any, rows: Any) -> Any:
        params, opt_state, key = carry
        key, bits_key, noise_key = jax.random.split(key, 3)
        x = jax.random.bernoulli(bits_key, flat[rows].astype(jnp.float32) / 255.0).astype(jnp.float32)
        value, gradient = jax.value_and_grad(loss)(params, noise_key, x)
        updates, opt_state = tx.update(gradient, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, key), value

    @jax.jit
    def epoch(carry: Any) -> Any:
        params, opt_state, key = carry
        key, order_key = jax.random.split(key)
        order = jax.random.permutation(order_key, SIZE)[: STEPS * BATCH].reshape(STEPS, BATCH)
        carry, _ = jax.lax.scan(step, (params, opt_state, key), order)
        return carry

    keys = jax.random.split(jax.random.key(0))
    params = {name: layers(key, sizes[name]) for name, key in zip(sizes, keys, strict=True)}
    return (params, tx.init(params), jax.random.key(1)), lambda carry, _: epoch(carry)


def main() -> None:
    x = images()
    arms = {"by hand": by_hand(x), "vae_jax": package(x)}
    states = {name: arm[0] for name, arm in arms.items()}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for epoch in range(EPOCHS + 1):
        for name, (_, run) in arms.items():
            start = time.perf_counter()
            states[name] = jax.block_until_ready(run(states[name], epoch))
            seconds[name].append(time.perf_counter() - start)
    # The first epoch of each holds the compilation.
    medians = {name: float(np.median(times[1:])) for name, times in seconds.items()}
    for name, median in medians.items():
        spread = ", ".join(f"{t:.2f}" for t in seconds[name][1:])
        print(f"{name:8}  {median:.3f} s an epoch, {median / STEPS * 1e3:.2f} ms a step  ({spread})")
    print(f"vae_jax / by hand: {medians['vae_jax'] / medians['by hand']:.3f}")


if __name__ == "__main__":
    main()
