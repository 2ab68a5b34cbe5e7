"""Train on images that do not fit the memory, within a limit that the system holds, and kill it on the way.

    python benchmarks/large_data.py FOLDER [--gigabytes 4] [--limit 1.5]

Writes random images of that size into FOLDER, trains an epoch on them in a control group of `--limit` gigabytes, twice:
undisturbed, and killed once and resumed. Prints the peak of memory that is not the file's, the time, and whether both
end with the same bits. Needs Linux and the right to make a control group of version 1.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from vae_jax.train.files import CHECKPOINTS, read_metrics
from vae_jax.train.run import load_state, open_run

GROUP = Path("/sys/fs/cgroup/memory/large_data")
SIDE, BATCH, TEST = 64, 512, 500
COMMAND = (sys.executable, "-m", "vae_jax.cli")
ARGUMENTS = (
    *("--epochs", "1", "--batch-size", str(BATCH), "--hidden", "8", "--latent-size", "2"),
    *("--likelihood", "normal", "--binarisation", "none", "--evaluation-samples", "10"),
    *("--validation-size", str(TEST), "--save-seconds", "2"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--limit", type=float, default=1.5)
    arguments = parser.parse_args()
    data = arguments.folder / "images"
    write_images(data, int(arguments.gigabytes * 1e9) // SIDE**2)
    GROUP.mkdir(exist_ok=True)
    (GROUP / "memory.limit_in_bytes").write_text(str(int(arguments.limit * 2**30)))
    whole, cut = arguments.folder / "whole", arguments.folder / "cut"
    begun = time.perf_counter()
    peak = in_group("train", "vae", "--dataset", str(data), *ARGUMENTS, "--out", str(whole))
    seconds = time.perf_counter() - begun
    in_group("train", "vae", "--dataset", str(data), *ARGUMENTS, "--out", str(cut), kill_after=0.5 * seconds)
    step = max(int(saved.name) for saved in (cut / CHECKPOINTS).iterdir() if saved.name.isdigit())
    in_group("resume", str(cut))
    states = [jax.tree.leaves(load_state(open_run(run)).best_params) for run in (whole, cut)]
    same = all(np.array_equal(one, other) for one, other in zip(*states, strict=True))
    print(
        f"{arguments.gigabytes:g} GB in {arguments.limit:g} GiB: peak {peak / 2**30:.2f} GiB without the file's pages, "
        f"{seconds:.0f} s, of which training {read_metrics(whole)[-1]['seconds']:.0f} s; killed, resumed at step "
        f"{step}: {'the same bits' if same else 'OTHER BITS'}"
    )
    return 0 if same else 1


def write_images(folder: Path, count: int) -> None:
    """Images of noise, some rows at a time, where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for name, rows in (("train", count), ("test", TEST)):
        path = folder / f"{name}.npy"
        if path.is_file():
            continue
        stored = np.lib.format.open_memmap(path, "w+", np.uint8, (rows, SIDE, SIDE, 1))
        for first in range(0, rows, 10_000):
            some = stored[first : first + 10_000]
            some[...] = random.integers(0, 256, some.shape, np.uint8)
        stored.flush()


def in_group(*arguments: str, kill_after: float | None = None) -> int:
    """Run a command in the group, and kill it after so many seconds; the peak of its memory in bytes."""

    def enter() -> None:
        (GROUP / "cgroup.procs").write_text(str(os.getpid()))

    process = subprocess.Popen((*COMMAND, *arguments), preexec_fn=enter)
    begun, peak = time.perf_counter(), 0
    while process.poll() is None:
        numbers = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        peak = max(peak, int(numbers["rss"]))
        if kill_after is not None and time.perf_counter() - begun > kill_after:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.05)
    if process.returncode not in (0, -signal.SIGKILL if kill_after is not None else 0):
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return peak


if __name__ == "__main__":
    sys.exit(main())
