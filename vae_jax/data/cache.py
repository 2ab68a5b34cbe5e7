"""Arrays and lines that take long to read or to make, kept between commands.

In the folder VAE_JAX_CACHE, by default vae_jax among the system's caches, as ~/.cache/vae_jax; it may be deleted at any
time.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs

from vae_jax.core.arrays import read_arrays, write_arrays
from vae_jax.core.errors import DamagedError
from vae_jax.core.files import write_whole
from vae_jax.core.text import read_lines
from vae_jax.data.rows import Rows

# Larger arrays are not kept, and the oldest go when all together have more: a disk is not offered to be filled.
_MOST_BYTES, _MOST_IN_ALL = 2**30, 2**32


def cache_file(kind: str, made_of: Iterable[object], ending: str = ".npz") -> Path:
    """The file for something that is made from these values alone: its name is a digest of them."""
    digest = hashlib.sha256("\n".join(map(str, made_of)).encode()).hexdigest()
    folder = Path(os.environ.get("VAE_JAX_CACHE") or platformdirs.user_cache_path("vae_jax")).expanduser()
    return folder / f"{kind}-{digest[:32]}{ending}"


def kept_arrays(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The arrays in `path`. Where there is no whole file, `make` makes them, and they are written to it.

    Nothing is written where some are `Rows`, which stay where they are.
    """
    if path.is_file():
        # One that cannot be read may be another user's.
        with suppress(DamagedError, OSError):
            return read_arrays(path)
    made = make()
    rows = any(isinstance(one, Rows) for one in made.values())
    if not rows and sum(one.nbytes for one in made.values()) <= _MOST_BYTES:
        with _keeping():
            write_arrays(path, made)
            _make_room(path)
    return made


def kept_lines(path: Path, make: Callable[[], list[str]]) -> list[str]:
    """The lines in `path`. Where there is no such file, `make` makes them, and they are written to it."""
    if path.is_file():
        with suppress(OSError):
            return read_lines(path)
    made = make()
    with _keeping():
        write_whole(path, "\n".join(made) + "\n")
    return made


def _make_room(new: Path) -> None:
    """Remove the oldest arrays until all together have few enough bytes; the `new` ones stay."""
    # Another process may remove some too.
    with suppress(FileNotFoundError):
        files = sorted(new.parent.glob("*.npz"), key=lambda path: path.stat().st_mtime_ns)
        left = sum(path.stat().st_size for path in files)
        for path in files:
            if left > _MOST_IN_ALL and path != new:
                left -= path.stat().st_size
                path.unlink()


@contextmanager
def _keeping() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The arrays are there. Only the next command must make them again.
        warnings.warn(f"nothing was kept ({error}); VAE_JAX_CACHE names another folder to keep it in.", stacklevel=4)
