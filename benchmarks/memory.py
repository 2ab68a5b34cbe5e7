"""The memory that a training takes, next to its state: parameters, the two moments of Adam, and sums.

    python benchmarks/memory.py [WIDTH]

Twenty steps of the digits model with two hidden layers of WIDTH units, by default 6000, so that nearly all memory is
the state's. A run keeps its best parameters beside it, and a step has gradients, as many numbers each as parameters.
"""

import dataclasses
import resource
import sys
from pathlib import Path

import jax

from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.train.memory import size_of
from vae_jax.train.run import prepare_run


def most() -> float:
    """MB that this process has had at once so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(width: int) -> None:
    config = quick(load_config("digits"))
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, hidden=(width, width)))
    run = prepare_run(config, Path("a run that is not made"))
    before = most()
    state, advance = run.initial(), run.advance()
    held, copy = size_of(state.train) / 2**20, size_of(state.best_params) / 2**20
    for stop in (1, 10, 20):
        state = state._replace(train=jax.block_until_ready(advance(state.train, stop)))
    taken = most() - before
    print(f"the process {before:.0f} MB before; the state {held:.0f}, best parameters and gradients {copy:.0f} each")
    print(f"at most {taken:.0f} more in training: {taken / (held + 2 * copy):.2f} times all of them")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6000)
