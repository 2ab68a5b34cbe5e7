"""The user's own `.npz` and `.npy` files."""

from pathlib import Path

import numpy as np

from vae_jax.core.arrays import unreadable
from vae_jax.data.dataset import Split
from vae_jax.data.named import another_kind, checked, named_splits, unlike
from vae_jax.data.reals import as_reals
from vae_jax.data.rows import Rows, is_large


def read_file(path: Path) -> dict[str, Split]:
    """The splits "train", "validation" and "test" that an array file has, with the arrays as it holds them.

    A `.npy` file holds the training examples, numbers `[n, …]`; where it is large they stay in it (`Rows`). An `.npz`
    file holds them as `x`, `images` or `data`, and their labels `[n]` as `label`, `labels` or `y`: integers or strings.
    A conditional model is told `condition`, real numbers `[n]` or `[n, c]`. Codes are scored by `factors` `[n, f]`, the
    values that the examples were made from. With `_val` or `_test` after a name the array is of the validation or test
    split. `[n, H, W]` becomes `[n, H, W, 1]`. Other arrays are named in a warning.

    FileNotFoundError or ValueError, with what to do.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no data file {path}. Give the path of an .npz or .npy file.")
    if path.suffix == ".npy" and is_large(path.stat().st_size):
        return {"train": _left(path)}
    with path.open("rb") as opened:
        try:
            loaded = np.load(opened, allow_pickle=False)
        except Exception as error:
            raise unreadable(path) from error
        if isinstance(loaded, np.ndarray):
            return {"train": _as_kept(path, checked(str(path), Split(loaded, None)))}
        return _splits(path, loaded)


def _left(path: Path) -> Split:
    """The examples of a file, which stay in it."""
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise unreadable(path) from error
    split = _as_kept(path, checked(str(path), Split(stored, None)))
    return split._replace(x=Rows(split.x))


def _splits(path: Path, file: np.lib.npyio.NpzFile) -> dict[str, Split]:
    splits = named_splits(str(path), file.files, lambda name: _array(path, file, name))
    train = splits["train"].x
    for part, split in splits.items():
        # Counts of one split are none of another.
        if (split.x.dtype.kind == "f") != (train.dtype.kind == "f"):
            raise ValueError(another_kind(str(path), part, split, train))
    return {part: _as_kept(path, split) for part, split in splits.items()}


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    try:
        return file[name]
    except Exception as error:
        if "allow_pickle" not in str(error):
            raise unreadable(path) from error
        raise ValueError(
            f"{path}: {name} is an array of Python objects. Save it as numbers or strings: {name}.astype(float), or "
            ".astype(str)."
        ) from error


def _as_kept(path: Path, split: Split) -> Split:
    """The split with images `[n, H, W, 1]` and conditions `[n, c]` of float32."""
    x, condition = split.x, split.condition
    if condition is not None:
        if condition.ndim > 2:
            raise ValueError(unlike(str(path), "condition", condition, f"({len(x)},) or ({len(x)}, c)"))
        condition = as_reals(f"{path}, condition", condition.reshape(len(x), -1))
    return split._replace(x=x[..., None] if x.ndim == 3 else x, condition=condition)
