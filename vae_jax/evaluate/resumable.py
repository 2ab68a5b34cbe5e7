"""Evaluations that can be interrupted: what has been computed is kept in a file, and taken up again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.atomic import replacing
from vae_jax.evaluate.batched import join
from vae_jax.evaluate.likelihood import LogMarginal

# Least time between writes of what has been computed so far.
_SAVE_SECONDS = 5.0


def resumable(
    path: Path, fingerprint: str, batches_from: Callable[[int], Iterator[LogMarginal]], *, size: int
) -> Iterator[LogMarginal]:
    """The estimates of `size` examples, growing: first those that `path` holds, then more with every batch.

    `batches_from(first)` gives the batches from example `first` on. `fingerprint` says what is measured (model,
    data, k, seed); a file with another one is not used. Removes the file when all is done.
    """
    done = read_estimates(path, fingerprint)
    if done is not None:
        yield done
    saved = time.monotonic()
    for part in batches_from(0 if done is None else len(done.value)):
        done = part if done is None else join([done, part])
        if time.monotonic() - saved >= _SAVE_SECONDS and len(done.value) < size:
            write_estimates(path, fingerprint, done)
            saved = time.monotonic()
        yield done
    # Only its own: an interrupted measurement of something else, such as a larger k, keeps its file.
    if read_estimates(path, fingerprint) is not None:
        path.unlink()


def read_estimates(path: Path, fingerprint: str) -> LogMarginal | None:
    """The estimates in a file, or None where there is none or it is of another measurement."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        if str(file["fingerprint"]) != fingerprint:
            return None
        return LogMarginal(**{name: file[name] for name in LogMarginal._fields})


def write_estimates(path: Path, fingerprint: str, done: LogMarginal) -> None:
    """Estimates of every example and what they are of, as an .npz; whole or not at all."""
    arrays: dict[str, Any] = {"fingerprint": fingerprint, **done._asdict()}
    with replacing(path) as partial:
        np.savez(partial, **arrays)
