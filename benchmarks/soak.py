"""Train 200,000 steps in short chunks, with saves and validation, and watch what grows.

    python benchmarks/soak.py [--steps 200000] [--json FILE]

Prints a line for each tenth of the run. Held: memory after the first fifth and at the end differ by less than 2%, and
files, open files, threads and compiled programs do not grow. About four minutes on two cores.
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import jax
from rich.console import Console

from vae_jax.config.fields import Data, Experiment, Model, Train
from vae_jax.train.files import METRICS
from vae_jax.train.loop import train
from vae_jax.train.run import create


class Seen(NamedTuple):
    """What the process holds after a step."""

    step: int
    megabytes: float
    files: int
    open_files: int
    threads: int
    programs: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--json", type=Path, help="write the numbers here too")
    arguments = parser.parse_args()
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration_secs, **kwargs: compiled.append(event) if "backend_compile" in event else None
    )
    config = Experiment(
        "a soak",
        Data("curve", binarisation="none", stand_in=True),
        Model(hidden=(8,), latent_size=2, likelihood="normal"),
        train=Train(batch_size=16, save_seconds=0.5, chunk_seconds=0.05),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = create(config, Path(folder) / "run")
        epochs = -(-arguments.steps // run.steps_per_epoch)
        run = dataclasses.replace(
            run, config=dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=epochs))
        )
        seen: list[Seen] = []
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                step = last_step(run.directory / METRICS)
                if step >= (len(seen) + 1) * arguments.steps // 10:
                    seen.append(look(step, run.directory, len(compiled)))
                    print("  ".join(f"{name} {value:g}" for name, value in seen[-1]._asdict().items()), flush=True)

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        train(run, Console(quiet=True))
        ended.set()
        watcher.join()
    first, last = seen[1], seen[-1]
    growth = last.megabytes / first.megabytes - 1
    print(f"{arguments.steps} steps in {time.monotonic() - began:.0f} s; memory {growth:+.2%}")
    if arguments.json:
        arguments.json.write_text(json.dumps([row._asdict() for row in seen], indent=2) + "\n")
    flat = all(getattr(last, name) <= getattr(first, name) for name in ("open_files", "threads", "programs"))
    return 0 if flat and abs(growth) < 0.02 else 1


def last_step(metrics: Path) -> int:
    """The step of the last whole line. The file is not read whole, or the watcher would be what grows."""
    if not metrics.is_file():
        return 0
    with metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - 4096))
        whole = file.read().split(b"\n")[:-1]
    return json.loads(whole[-1])["step"] if whole else 0


def look(step: int, directory: Path, programs: int) -> Seen:
    """What this process holds now, and how many files its run has."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    files = sum(path.is_file() for path in directory.rglob("*"))
    open_files = len(os.listdir("/proc/self/fd"))
    return Seen(step, int(status["VmRSS"].split()[0]) / 1024, files, open_files, threading.active_count(), programs)


if __name__ == "__main__":
    sys.exit(main())
