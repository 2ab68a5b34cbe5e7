"""What a grammar costs: strings parsed in a second, and the mask's share of writing and of reading a derivation.

    python benchmarks/derivations.py [REPEATS] [SMILES_FILE]

Times of one process, those of steps taken in turns, the least of each. Writing: 256 derivations of the grammar of ZINC,
by the decoder of `configs/zinc.py`, against the same network whose rules are drawn without looking at the grammar.
Reading: the gradient of log p(x | z), against the same without the mask. Without a file strings are random ones.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.text import read_lines
from vae_jax.data.strings import random_strings
from vae_jax.languages.grammar import load_grammar
from vae_jax.nets.recurrent import DerivationDecoder

BATCH, LENGTH, HIDDEN, EMBEDDING, CODE = 256, 100, 256, 64, 56


def least(repeats: int, functions: list[Callable[..., Any]], *arguments: Any) -> list[float]:
    best = [float("inf")] * len(functions)
    for function in functions:
        jax.block_until_ready(function(*arguments))
    for _ in range(repeats):
        for i, function in enumerate(functions):
            began = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            best[i] = min(best[i], time.perf_counter() - began)
    return best


def main(repeats: int, file: Path | None) -> None:
    grammar = load_grammar("smiles_zinc")
    strings = random_strings(grammar, 2000, LENGTH, seed=0) if file is None else read_lines(file)[:20_000]
    for name in ("smiles_zinc", "smiles"):
        parser = load_grammar(name)
        parser.parse("C")
        began = time.process_time()
        parsed = [parser.parse(string) for string in strings]
        seconds = time.process_time() - began
        mean = sum(map(len, parsed)) / len(parsed)
        rules = f"{mean:.1f} of {len(parser.rules)} rules each"
        print(f"parsed {len(strings)} strings with {name}, {rules}: {len(strings) / seconds:.0f} a second of one core")

    decoder = DerivationDecoder(grammar, LENGTH, HIDDEN, EMBEDDING)
    z = jax.random.normal(jax.random.key(0), (BATCH, CODE))
    params = decoder.init(jax.random.key(1), z[0])
    keys = jax.random.split(jax.random.key(2), BATCH)

    def masked(params: Any, z: Any, key: Any) -> Any:
        return decoder.apply(params, z).sample(key)  # pyright: ignore

    def free(params: Any, z: Any, key: Any) -> Any:
        network: Any = decoder.apply(params, z).network  # pyright: ignore

        def step(carry: Any, key: Any) -> Any:
            state, features = network.step(carry[0], network.embed(carry[1]))
            rule = jax.random.categorical(key, network.logits(features))
            return (state, rule), rule

        return jax.lax.scan(step, (network.start, grammar.end), jax.random.split(key, LENGTH))[1]

    x = jax.jit(jax.vmap(masked, in_axes=(None, 0, 0)))(params, z, keys)

    def read(params: Any, z: Any, x: Any) -> Any:
        return jnp.mean(jax.vmap(lambda z, x: decoder.apply(params, z).log_prob(x))(z, x))  # pyright: ignore

    def read_free(params: Any, z: Any, x: Any) -> Any:
        def one(z: Any, x: Any) -> Any:
            network: Any = decoder.apply(params, z).network  # pyright: ignore
            before = jnp.concatenate([jnp.array([grammar.end]), x[:-1]])
            _, features = jax.lax.scan(network.step, network.start, jax.vmap(network.embed)(before))
            log_probs = jax.nn.log_softmax(jax.vmap(network.logits)(features))
            return jnp.sum(jnp.where(jnp.arange(grammar.end + 1)[None] == x[:, None], log_probs, 0.0))

        return jnp.mean(jax.vmap(one)(z, x))

    writing = least(repeats, [jax.jit(jax.vmap(f, in_axes=(None, 0, 0))) for f in (free, masked)], params, z, keys)
    reading = least(repeats, [jax.jit(jax.grad(f)) for f in (read_free, read)], params, z, x)
    print(f"a step of {BATCH}, ms | without the mask | with it | ratio")
    for name, (without, using) in (("writing", writing), ("reading, with the gradient", reading)):
        print(f"{name} | {1e3 * without / LENGTH:.2f} | {1e3 * using / LENGTH:.2f} | {using / without:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
