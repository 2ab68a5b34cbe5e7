"""How long `vae-jax train digits` takes from enter to its first epoch, with and without what was kept; and `--help`.

    python benchmarks/start.py

Each time is that of a process of its own, until the first line of metrics.jsonl is there; then it is killed. The first
one finds an empty cache. `--help` and a command that there is not are timed to their end.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

STARTS = 4


def first_epoch(folder: Path, number: int) -> float:
    """Seconds until a new run has a line of metrics."""
    run = folder / f"run-{number}"
    began = time.perf_counter()
    command = ["vae-jax", "train", "digits", "--out", str(run)]
    environment = os.environ | {"VAE_JAX_CACHE": str(folder / "cache")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (run / "metrics.jsonl").is_file() or not (run / "metrics.jsonl").read_text():
        if process.poll() is not None:
            raise SystemExit(f"vae-jax ended with {process.returncode} before its first epoch.")
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    process.kill()
    process.wait()
    return seconds


def answered(*arguments: str) -> float:
    """Seconds of a command that says something and ends."""
    began = time.perf_counter()
    subprocess.run(["vae-jax", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cold, *warm = (first_epoch(Path(folder), number) for number in range(STARTS))
    for arguments in (("--help",), ("trian",), ("train", "digts")):
        seconds = [answered(*arguments) for _ in range(STARTS)]
        print(f"vae-jax {' '.join(arguments)}: {', '.join(f'{each:.2f}' for each in seconds)} s")
    print(f"first: {cold:.1f} s; later: {', '.join(f'{seconds:.1f}' for seconds in warm)} s")


if __name__ == "__main__":
    main()
