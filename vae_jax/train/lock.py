"""One writer for each run: a lock that the system releases when its process ends, however that ends."""

import errno
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vae_jax.core.errors import DamagedError, RequestError
from vae_jax.core.files import write_json
from vae_jax.train.files import LOCK, WRITER, going_on, read_json

# What a file system says that has none, as some that reach over a network.
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Be the one who writes a run, whose directory is made. RequestError, with the process, where another one is."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RequestError(
            f"{directory} is being written by {_writer(directory)}. Wait for its end, or stop it; then go on with: "
            f"{going_on(directory)}"
        ) from None
    except (NotImplementedError, OSError) as error:
        # The first is what earlier versions of filelock make of ENOSYS.
        if isinstance(error, OSError) and error.errno not in _WITHOUT_LOCKS:
            raise
        warnings.warn(
            f"the file system of {directory} has no locks: see to it that no other process writes this run.",
            stacklevel=3,
        )
    try:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        write_json(directory / WRITER, {"process": os.getpid(), "host": platform.node(), "since": now})
        yield
    finally:
        (directory / WRITER).unlink(missing_ok=True)
        lock.release()


def _writer(directory: Path) -> str:
    # It may end, or begin, while this reads.
    with suppress(DamagedError, FileNotFoundError, KeyError):
        writer = read_json(directory / WRITER, "")
        return f"process {writer['process']} on {writer['host']} since {writer['since']}"
    return "another process"
