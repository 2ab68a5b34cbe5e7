"""Kill, interrupt and starve runs, and see what is left: a table of faults tried and held.

    python benchmarks/faults.py [--scale 1.0] [--json FILE]

For each kind of run one is trained undisturbed. Others are killed (40% of the times within a save), interrupted, or
stopped by a full disk, and gone on with until they end. Held is a fault after which the run opens and goes on, and
whose end has the same bits as the undisturbed one. `--scale 0.1` tries a tenth of the faults. The disk of 24 MB and the
read-only one are mounted in memory, which needs the rights of root; without them these two rows are left out, and said
to be. An hour on two cores.
"""

import argparse
import contextlib
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from vae_jax.train.files import is_sweep
from vae_jax.train.run import newest_state, open_run
from vae_jax.train.sweep import open_sweep

# A save after every chunk, so that a kill often meets one.
OFTEN = ["--save-seconds", "0", "--chunk-seconds", "0.05"]
SUBJECTS = {
    "run": ["train", "curve", "--quick", "--epochs", "400", "--hidden", "32", *OFTEN],
    "sweep": ["sweep", "curve", "--quick", "--epochs", "250", "--hidden", "16", "--seeds", "2", *OFTEN],
    "vq, two stages": ["train", "vq_vae", "--quick", "--epochs", "8", *OFTEN],
    "factor, a critic": ["train", "factor_vae", "--quick", "--epochs", "6", *OFTEN],
    "geco, a multiplier": ["train", "geco_vae", "--quick", "--epochs", "6", *OFTEN],
}


class Row(NamedTuple):
    """One line of the table."""

    fault: str
    subject: str
    tried: int
    held: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the faults that are tried")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--json", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/compiled"
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
        for fault, subject, tried in faults(Path(folder), lambda count: max(1, round(count * arguments.scale))):
            if arguments.only not in fault:
                continue
            try:
                rows.append(Row(fault, subject, *tried()))
            except PermissionError as error:
                print(f"{fault}: left out ({error})")
                continue
            print(f"{fault:<26} {subject:<20} tried {rows[-1].tried:3d}  held {rows[-1].held:3d}", flush=True)
    tried, held = sum(row.tried for row in rows), sum(row.held for row in rows)
    print(f"{'all':<47} tried {tried:3d}  held {held:3d}")
    if arguments.json:
        arguments.json.write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n")
    return 0 if tried == held else 1


# How many faults were tried, and how many held.
Tried = Callable[[], tuple[int, int]]


def faults(folder: Path, times: Callable[[int], int]) -> Iterator[tuple[str, str, Tried]]:
    """Every row of the table: the fault, what it meets, and how it is tried."""
    chance = random.Random(0)
    undisturbed = functools.cache(functools.partial(trained, folder))
    for subject, arguments in SUBJECTS.items():
        # 50 kills, 20 SIGTERMs and 10 SIGINTs over the five kinds.
        for fault, count, stop in (
            ("SIGKILL at any time", 6, at_any_time(signal.SIGKILL, chance)),
            ("SIGKILL within a save", 4, within_a_save),
            ("SIGTERM", 4, at_any_time(signal.SIGTERM, chance)),
            ("SIGINT", 2, at_any_time(signal.SIGINT, chance)),
        ):
            yield (
                fault,
                subject,
                lambda subject=subject, arguments=arguments, count=count, stop=stop: stopped_and_gone_on(
                    arguments, undisturbed(subject), folder / "disturbed", times(count), stop
                ),
            )
    for verb, file in (("evaluate", "evaluation.json"), ("export", "export/params.json")):
        yield (
            f"SIGKILL of {verb}",
            "run",
            lambda verb=verb, file=file: rewritten(undisturbed("run"), folder, times(5), [verb], file),
        )
    for fault, tried in (
        ("the clock jumps by days", clock_jumps),
        ("the data are gone", data_vanish),
        ("the disk is full", disk_full),
        ("the folder is read-only", read_only),
    ):
        yield fault, "run", lambda tried=tried: (1, int(tried(undisturbed("run"), folder / tried.__name__)))


def trained(folder: Path, subject: str) -> Path:
    """The directory of a run that nothing disturbed."""
    directory = folder / f"whole-{subject.split(',')[0]}"
    finish(command(*SUBJECTS[subject], "--out", directory))
    return directory


def command(*arguments: Any, code: str = "") -> subprocess.Popen:
    """A process of `vae-jax`, after some lines of Python."""
    program = f"{code}\nfrom vae_jax.cli import run; run()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen) -> str:
    """Its output, of a process that ends well."""
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args[3:]} ended with {process.returncode}: {output}")  # pyright: ignore
    return output


# `(process, run directory)`: send the signal at the right moment; the exit status that is right after it.
Stop = Callable[[subprocess.Popen, Path], int]


def at_any_time(number: signal.Signals, chance: random.Random) -> Stop:
    """Some time after the run has begun to train."""

    def stop(process: subprocess.Popen, directory: Path) -> int:
        before = saves(directory)
        wait_for(process, lambda: saves(directory) > before)
        time.sleep(chance.uniform(0.0, 1.0))
        process.send_signal(number)
        return -number if number == signal.SIGKILL else 128 + number

    return stop


def within_a_save(process: subprocess.Popen, directory: Path) -> int:
    """While a checkpoint is being written, which has another name until it is whole."""
    before = saves(directory)
    wait_for(process, lambda: saves(directory) > before)
    wait_for(process, lambda: any("tmp" in path.name for path in (directory / "checkpoints").glob("*")))
    process.send_signal(signal.SIGKILL)
    return -signal.SIGKILL


def saves(directory: Path) -> int:
    return max((int(path.name) for path in (directory / "checkpoints").glob("*") if path.name.isdigit()), default=-1)


def wait_for(process: subprocess.Popen, condition: Callable[[], bool]) -> None:
    while process.poll() is None and not condition():
        time.sleep(0.0005)


def stopped_and_gone_on(arguments: list[str], whole: Path, directory: Path, count: int, stop: Stop) -> tuple[int, int]:
    """How many faults were tried, and after how many the run opened; none, where its end is not that of `whole`."""
    tried = held = 0
    while tried < count:
        shutil.rmtree(directory, ignore_errors=True)
        process = command(*arguments, "--out", directory)
        ended = False
        while tried < count and not ended:
            status = stop(process, directory)
            process.communicate()
            # It may have come to its end before it was stopped.
            ended = process.returncode == 0
            if not ended:
                tried += 1
                held += int(process.returncode == status and opens(directory))
                process = command("resume", directory)
        if not ended:
            finish(process)
        if not same(whole, directory):
            return tried, 0
    return tried, held


def opens(directory: Path) -> bool:
    """Whether the newest checkpoint is whole; None of a run that was stopped before the first is no fault."""
    return state_of(directory) is not None or saves(directory) < 0


def state_of(directory: Path) -> Any:
    if is_sweep(directory):
        from vae_jax.train.checkpoint import Checkpoints

        checkpoints = Checkpoints(directory / "checkpoints", read_only=True)
        state = checkpoints.restore(open_sweep(directory).initial())
        checkpoints.close()
        return state
    return newest_state(open_run(directory))


def same(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same bits, the same metrics and the same measurements."""
    states = [state_of(directory)._replace(seconds=0) for directory in (first, second)]
    numbers = [[np.asarray(number_of(leaf)) for leaf in jax.tree.leaves(state)] for state in states]
    metrics, evaluations = [], []
    for directory in (first, second):
        lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
        metrics.append([{name: value for name, value in line.items() if name != "seconds"} for line in lines])
        evaluations.append(measured(directory / "evaluation.json"))
    equal = all(np.array_equal(*pair, equal_nan=True) for pair in zip(*numbers, strict=True))
    return equal and metrics[0] == metrics[1] and evaluations[0] == evaluations[1]


def number_of(leaf: Any) -> Any:
    is_key = hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(leaf) if is_key else leaf


def measured(file: Path) -> Any:
    """The measurements, but for what is a time or a path."""
    found = json.loads(file.read_text())

    def timeless(content: Any) -> Any:
        if isinstance(content, dict):
            return {name: timeless(value) for name, value in content.items() if "seconds" not in name and name != "run"}
        return [timeless(value) for value in content] if isinstance(content, list) else content

    return timeless(found)


def rewritten(whole: Path, folder: Path, count: int, verb: list[str], file: str) -> tuple[int, int]:
    """Kill a command that writes into a finished run, then give it again: the file is as if it had not been killed."""
    copies = [folder / "copy-a", folder / "copy-b"]
    for copy in copies:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
    began = time.monotonic()
    finish(command(*verb, copies[0]))
    lasts = time.monotonic() - began
    held = 0
    for number in range(count):
        process = command(*verb, copies[1])
        time.sleep(lasts * (number + 1) / (count + 1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        target = copies[1] / file
        whole_or_absent = not target.is_file() or json.loads(target.read_text()) is not None
        finish(command(*verb, copies[1]))
        held += int(whole_or_absent and measured(copies[0] / file) == measured(target))
    return count, held


def clock_jumps(whole: Path, directory: Path) -> bool:
    """The time of day goes back and forth by days, every two seconds, while a run trains."""
    jumping = """
import time
real = time.time
time.time = lambda: real() + 86400 * (0, -1, 3, -5)[int(time.monotonic()) // 2 % 4]
"""
    process = command(*SUBJECTS["run"], "--out", directory, code=jumping)
    output, _ = process.communicate()
    # Orbax gives a save twenty minutes by the time of day: when that has gone by, the run stops.
    if process.returncode:
        if "could not be saved" not in output.strip().splitlines()[-1] or "Traceback" in output:
            return False
        finish(command("resume", directory))
    return same(whole, directory)


def data_vanish(whole: Path, directory: Path) -> bool:
    """A run whose data are gone says so in one line, and goes on when they are back."""
    directory.mkdir()
    file, run = directory / "mine.npz", directory / "run"
    np.savez(file, x=np.random.default_rng(0).normal(size=(400, 3)))
    train = ["train", "curve", "--dataset", file, "--likelihood", "normal", "--epochs", "400", *OFTEN, "--out"]
    finish(command(*train, directory / "whole"))
    process = command(*train, run)
    at_any_time(signal.SIGKILL, random.Random(1))(process, run)
    process.communicate()
    file.rename(directory / "elsewhere.npz")
    process = command("resume", run)
    output, _ = process.communicate()
    if process.returncode != 1 or len(output.strip().splitlines()) != 1 or str(file) not in output:
        return False
    (directory / "elsewhere.npz").rename(file)
    finish(command("resume", run))
    return same(directory / "whole", run)


@contextmanager
def disk(path: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A small file system in memory; `remount(options)` changes it. PermissionError without the rights for it."""
    path.mkdir(exist_ok=True)

    def mount(options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], capture_output=True, text=True
        )
        if done.returncode:
            raise PermissionError(done.stderr.strip())

    mount(f"size={size}")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def disk_full(whole: Path, path: Path) -> bool:
    """A run that fills its disk stops with one line; with room again it goes on to the same end."""
    with disk(path, "24m") as remount:
        process = command(*SUBJECTS["run"], "--out", path / "run")
        wait_for(process, lambda: saves(path / "run") > 0)
        filler = path / "filler"
        # The rest of the disk, and what the run frees meanwhile.
        while process.poll() is None:
            with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
                while True:
                    file.write(b"0" * 4096)
        output, _ = process.communicate()
        stopped = process.returncode == 1 and "Traceback" not in output
        filler.unlink()
        remount("size=60m")
        finish(command("resume", path / "run"))
        return stopped and same(whole, path / "run")


def read_only(whole: Path, path: Path) -> bool:
    """A run in a folder that can no longer be written says so in one line; readers still read it."""
    with disk(path, "60m") as remount:
        shutil.copytree(whole, path / "run")
        remount("ro")
        process = command("resume", path / "run")
        output, _ = process.communicate()
        refused = process.returncode == 1 and len(output.strip().splitlines()) == 1
        return refused and same(whole, path / "run")


if __name__ == "__main__":
    sys.exit(main())
