"""RUN/initial.npz: the parameters that a run begins with, where they are another run's, which may go away."""

from pathlib import Path

import jax

from vae_jax.core.arrays import read_arrays, write_arrays
from vae_jax.core.errors import DamagedError
from vae_jax.core.trees import by_name, first_difference
from vae_jax.core.types import Params
from vae_jax.train.files import INITIAL


def write_initial(directory: Path, params: Params) -> None:
    """Keep the parameters that the run of a directory begins with."""
    write_arrays(directory / INITIAL, by_name(params))


def read_initial(directory: Path, like: Params) -> Params:
    """The parameters that were kept, in the structure of `like`. DamagedError where they are not there or others."""
    file = directory / INITIAL
    if not file.is_file():
        raise DamagedError(f"{file} is missing, with the parameters that the run begins with. Put back a copy of it.")
    arrays = read_arrays(file)
    names = by_name(like)
    if first_difference(arrays, names) is not None:
        raise DamagedError(f"{file} holds other parameters than those of its run. Put back a copy of it.")
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in names])
