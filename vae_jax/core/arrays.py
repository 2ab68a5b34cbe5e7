"""Arrays in .npz and .npy files, which may be damaged or of another kind. Nothing in them is run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.core.errors import DamagedError
from vae_jax.core.files import replacing


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, or that of an .npy file under the name "".

    DamagedError where it is not such a file, or holds objects instead of numbers or text.
    """
    with path.open("rb") as opened:
        try:
            loaded = np.load(opened, allow_pickle=False)
            return {"": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
        # NumPy and zipfile raise errors of a dozen kinds at bytes that they do not understand.
        except Exception as error:
            raise unreadable(path) from error


def write_arrays(path: Path, arrays: Mapping[str, Any], *, compressed: bool = False) -> None:
    """Write an .npz file of arrays by name, whole or not at all."""
    save: Any = np.savez_compressed if compressed else np.savez
    with replacing(path) as partial:
        save(partial, **{name: np.asarray(array) for name, array in arrays.items()})


def unreadable(path: Path) -> DamagedError:
    """The error of a file that NumPy cannot read."""
    return DamagedError(f"{path} cannot be read as a {path.suffix} file of numbers: it is damaged or of another kind.")
