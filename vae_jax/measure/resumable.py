"""Evaluations that can be interrupted: what has been computed is kept in a file, and taken up again."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from vae_jax.core.arrays import read_arrays, write_arrays
from vae_jax.core.errors import DamagedError
from vae_jax.core.trees import num_examples
from vae_jax.evaluate.batched import Estimates, join
from vae_jax.train.progress import bar

# Least time between writes of what has been computed so far.
_SAVE_SECONDS = 5.0


def resumable(
    path: Path,
    fingerprint: str,
    batches_from: Callable[[int], Iterator[Estimates]],
    *,
    size: int,
    kind: Callable[..., Estimates],
) -> Iterator[Estimates]:
    """The estimates of `size` examples, growing: first those that `path` holds, then more with every batch.

    `batches_from(first)` gives the batches from example `first` on, each a NamedTuple `kind` of arrays. `fingerprint`
    says what is measured (model, data, k, seed); a file with another one is not used. Removes the file when all is
    done.
    """
    done = read_estimates(path, fingerprint, kind)
    if done is not None:
        yield done
    saved = time.monotonic()
    for part in batches_from(0 if done is None else num_examples(done)):
        done = part if done is None else join([done, part])
        if time.monotonic() - saved >= _SAVE_SECONDS and num_examples(done) < size:
            write_estimates(path, fingerprint, done)
            saved = time.monotonic()
        yield done
    # Only its own: an interrupted measurement of something else, such as a larger k, keeps its file.
    if read_estimates(path, fingerprint, kind) is not None:
        path.unlink()


def read_estimates(path: Path, fingerprint: str, kind: Callable[..., Estimates]) -> Estimates | None:
    """The estimates in a file, or None where there is none or it is of another measurement."""
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path)
    except DamagedError:
        # Not of this program, or damaged: measured anew, and replaced.
        return None
    if str(arrays.pop("fingerprint", "")) != fingerprint:
        return None
    return kind(**arrays)


def write_estimates(path: Path, fingerprint: str, done: Any) -> None:
    """Estimates of every example, a NamedTuple of arrays, and what they are of: an .npz, whole or not at all."""
    write_arrays(path, {"fingerprint": fingerprint, **done._asdict()})


def finished(steps: Iterator[Estimates], size: int, console: Console | None, name: str) -> Estimates:
    """The last of the growing estimates of `size` examples, with a bar on a terminal while they grow."""
    estimates = None
    with bar(console, name, size) as show:
        for estimates in steps:
            show(num_examples(estimates))
    return join([] if estimates is None else [estimates])
