"""One run on many hosts: each is a process of the same program, and the first one writes.

All processes train in step, since XLA lets them wait for each other at every sum. What a process finds out by itself,
its clock and its signals, is therefore agreed upon between two chunks.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from rich.console import Console

from vae_jax.core.errors import ConfigError
from vae_jax.core.mesh import replicated
from vae_jax.core.types import PyTree
from vae_jax.train.files import INITIAL, METRICS, SKIPS

T = TypeVar("T")
# A week: nobody waits for ever for a process that has died.
_PATIENCE = 7 * 24 * 3600


def join_processes(distributed: tuple[str, ...] | None) -> None:
    """Meet the other processes of this run, before any device is asked for; None means that there are none.

    `()` asks SLURM, Open MPI, or the hosts of a TPU who they are; `(HOST:PORT, COUNT, NUMBER)` says it. ConfigError
    where that cannot be found out.
    """
    if distributed is None:
        return
    if len(distributed) not in (0, 3) or not all(word.isdecimal() for word in distributed[1:]):
        raise ConfigError(
            "--distributed alone asks SLURM, Open MPI or the TPU; else it takes the address of the first process, how "
            f"many there are and which one this is: --distributed 10.0.0.1:1234 4 0. Got {' '.join(distributed)}."
        )
    # The others wait for the first, which measures and draws when all have trained.
    known: dict[str, Any] = {"shutdown_timeout_seconds": _PATIENCE}
    if distributed:
        address, count, number = distributed
        known |= {"coordinator_address": address, "num_processes": int(count), "process_id": int(number)}
    try:
        jax.distributed.initialize(**known)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the processes of --distributed did not find each other ({str(error).splitlines()[0]}). Without SLURM, "
            "Open MPI or TPU hosts say who they are: --distributed HOST:PORT COUNT NUMBER."
        ) from error


def is_first() -> bool:
    """Whether this process writes, measures and draws."""
    return jax.process_index() == 0


def is_one_of_many() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def by_first(make: Callable[[], T], find: Callable[[], T]) -> T:
    """What the first process makes, before the others find it."""
    made = make() if is_first() else None
    if is_one_of_many():
        multihost_utils.sync_global_devices("made")
    return find() if made is None else made


def agreed(decided: Sequence[float], noticed: int) -> tuple[list[float], int]:
    """What the first process decided, to the digits of float32, and the largest of what any of them noticed."""
    if not is_one_of_many():
        return list(decided), noticed
    everyone = np.asarray(multihost_utils.process_allgather(np.asarray([*decided, noticed], np.float32)))
    return everyone[0, :-1].tolist(), int(everyone[:, -1].max())


def here(tree: PyTree) -> PyTree:
    """Arrays that lie on the devices of many processes, whole on a device of this one."""
    if not is_one_of_many():
        return tree
    whole = jax.jit(lambda tree: tree, out_shardings=replicated())(tree)
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), whole)


@contextmanager
def own_folder(run: Any, console: Console) -> Iterator[tuple[Any, Console]]:
    """The run as this process writes it: all but the first do so in silence, into a folder that is then thrown away.

    So every process reads what it wrote itself, and none waits for the files of another.
    """
    if is_first():
        yield run, console
        return
    with TemporaryDirectory() as scratch:
        for name in (METRICS, SKIPS, INITIAL):
            if (run.directory / name).is_file():
                shutil.copy(run.directory / name, scratch)
        train = dataclasses.replace(run.config.train, track=())
        config = dataclasses.replace(run.config, train=train)
        try:
            yield dataclasses.replace(run, directory=Path(scratch), config=config), Console(quiet=True)
        except RuntimeError as error:
            if scratch not in str(error):
                raise
            # What it says is of the run, not of the folder that is gone when it is read.
            raise type(error)(str(error).replace(scratch, str(run.directory))) from error
