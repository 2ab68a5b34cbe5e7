"""The user's own `.npz` and `.npy` files."""

import warnings
from pathlib import Path

import numpy as np

from vae_jax.core.arrays import unreadable
from vae_jax.data.dataset import Split
from vae_jax.data.reals import as_reals
from vae_jax.data.rows import Rows, is_large

# What the arrays of a split may be called. Training examples may also have the ending _train.
_NAMES = {
    "x": ("x", "images", "data"),
    "label": ("label", "labels", "y"),
    "condition": ("condition", "conditions"),
    "factors": ("factors",),
}
_ENDINGS = {"train": ("", "_train"), "validation": ("_val", "_valid", "_validation"), "test": ("_test",)}


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
            return {"train": _checked(path, Split(loaded, None))}
        return _splits(path, loaded)


def _left(path: Path) -> Split:
    """The examples of a file, which stay in it."""
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise unreadable(path) from error
    split = _checked(path, Split(stored, None))
    return split._replace(x=Rows(split.x))


def _splits(path: Path, file: np.lib.npyio.NpzFile) -> dict[str, Split]:
    names = {
        (part, field): next((n + end for end in endings for n in _NAMES[field] if n + end in file.files), None)
        for part, endings in _ENDINGS.items()
        for field in _NAMES
    }
    if names["train", "x"] is None:
        raise ValueError(f"{path}: found the arrays {file.files}, but none named {', '.join(_NAMES['x'])} or x_train.")
    if unread := [name for name in file.files if name not in names.values()]:
        warnings.warn(f"{path}: the arrays {', '.join(unread)} are not read.", stacklevel=1)
    splits = {}
    for part in _ENDINGS:
        arrays = {field: _array(path, file, names[part, field]) for field in _NAMES}
        if arrays["x"] is not None:
            splits[part] = _checked(path, Split(**arrays))  # pyright: ignore[reportArgumentType]
        elif beside := [name for (of, _), name in names.items() if of == part and name is not None]:
            raise ValueError(f"{path} holds {beside[0]}, but no x{_ENDINGS[part][0]} that it could belong to.")
    train = splits["train"].x
    for part, split in splits.items():
        if (split.x.dtype.kind == "f", split.x.shape[1:]) != (train.dtype.kind == "f", train.shape[1:]):
            raise ValueError(
                f"{path}: x{_ENDINGS[part][0]} must be of the same kind as the training examples, {train.dtype} of "
                f"shape {train.shape[1:]}, got {split.x.dtype} of shape {split.x.shape[1:]}."
            )
    return splits


def _array(path: Path, file: np.lib.npyio.NpzFile, name: str | None) -> np.ndarray | None:
    if name is None:
        return None
    try:
        return file[name]
    except Exception as error:
        if "allow_pickle" not in str(error):
            raise unreadable(path) from error
        raise ValueError(
            f"{path}: {name} is an array of Python objects. Save it as numbers or strings: {name}.astype(float), or "
            ".astype(str)."
        ) from error


def _checked(path: Path, split: Split) -> Split:
    x, label, condition, factors = split
    if x.dtype.kind not in "buif" or x.ndim < 2:
        raise ValueError(f"{path}: examples must be numbers of shape [n, …], got {x.dtype} of shape {x.shape}.")
    if label is not None and label.shape != (len(x),):
        raise ValueError(f"{path}: labels must have shape ({len(x)},), got {label.shape}.")
    if condition is not None:
        wanted = f"({len(x)},) or ({len(x)}, c)"
        condition = _numbers(path, "condition", condition, len(x), wanted, dimensions=(1, 2)).reshape(len(x), -1)
        condition = as_reals(f"{path}, condition", condition)
    if factors is not None:
        factors = _numbers(path, "factors", factors, len(x), f"({len(x)}, f)", dimensions=(2,))
    return Split(x[..., None] if x.ndim == 3 else x, label, condition, factors)


def _numbers(
    path: Path, name: str, array: np.ndarray, count: int, wanted: str, *, dimensions: tuple[int, ...]
) -> np.ndarray:
    """The array. `ValueError` unless it holds finite numbers for each of `count` examples."""
    if array.dtype.kind not in "buif" or array.ndim not in dimensions or len(array) != count:
        raise ValueError(f"{path}: {name} must be numbers of shape {wanted}, got {array.dtype} of shape {array.shape}.")
    if not np.isfinite(array).all():
        raise ValueError(f"{path}: {name} holds NaN or infinite values. Remove those examples first.")
    return array
