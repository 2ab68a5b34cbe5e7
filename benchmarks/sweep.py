"""A sweep against as many commands: eight seeds of the digits model, compiling included, and step by step.

    python benchmarks/sweep.py [CONFIG] [MEMBERS]

Whole: the wall time of `vae-jax sweep digits --seeds 8` against eight `vae-jax train digits --seed S`, in processes of
their own, with what each writes in the end. Steady: the time of a member's step in the sweep's program against that of
a run's, after compiling, in one process, in turns.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config.files import load_config
from vae_jax.train.files import read_metrics
from vae_jax.train.run import prepare_run
from vae_jax.train.sweep import prepare_sweep

# Steps between two looks at the clock.
STEPS = 200


def whole(config: str, members: int, folder: Path) -> tuple[float, float]:
    """Seconds of the sweep and of the commands."""

    def seconds(*arguments: str) -> float:
        start = time.perf_counter()
        command = [sys.executable, "-m", "vae_jax.cli", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    sweep = seconds("sweep", config, "--seeds", str(members), "--out", str(folder / "sweep"))
    alone = sum(
        seconds("train", config, "--seed", str(seed), "--out", str(folder / f"run{seed}")) for seed in range(members)
    )
    return sweep, alone


def steady(name: str, members: int, folder: Path, repeats: int = 5) -> tuple[float, float]:
    """Seconds of a member's step in a sweep, and of a run's."""
    config = load_config(name)
    sweep, run = prepare_sweep(config, {}, members, folder), prepare_run(config, folder)
    programs = [(sweep.advance(), sweep.initial().train, members), (run.advance(), run.initial().train, 1)]
    times: list[list[float]] = [[], []]
    states = [jax.block_until_ready(advance(state, jnp.int32(1))) for advance, state, _ in programs]
    for _ in range(repeats):
        for i, (advance, _, count) in enumerate(programs):
            start = time.perf_counter()
            states[i] = jax.block_until_ready(advance(states[i], states[i].step + STEPS))
            times[i].append((time.perf_counter() - start) / STEPS / count)
    return float(np.median(times[0])), float(np.median(times[1]))


def best_losses(*runs: Path) -> list[float]:
    """The least validation loss of each run."""
    return [min(line["validation"]["loss"] for line in read_metrics(run)) for run in runs]


def main(config: str, members: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        together, alone = steady(config, members, Path(folder) / "none")
        faster = alone / together
        print(f"a member's step: {1e3 * together:.2f} ms in the sweep, {1e3 * alone:.2f} ms alone: {faster:.2f}x")
        sweep, commands = whole(config, members, Path(folder))
        ratio = sweep / commands
        member = Path(folder) / "sweep" / "members"
        ends = [best_losses(member / f"all,seed={s}", Path(folder) / f"run{s}") for s in range(members)]
        print(f"{members} members: {sweep:.0f} s as a sweep, {commands:.0f} s as commands: {ratio:.2f} of their time")
        losses = np.array(ends)
        apart, spread = losses[:, 0] - losses[:, 1], losses[:, 1].std(ddof=1)
        print(f"best validation loss, sweep minus command: {apart.mean():+.3f} nats; seeds differ by {spread:.3f}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "digits", int(sys.argv[2]) if len(sys.argv) > 2 else 8)
