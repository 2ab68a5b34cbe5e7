"""The user's own `.npz` and `.npy` files."""

from pathlib import Path

import numpy as np

from vae_jax.data.dataset import Split

_NAMES = {"x": ("x", "images", "data", "x_train"), "label": ("label", "labels", "y", "y_train")}


def read_file(path: Path) -> tuple[Split, Split | None, int | None]:
    """`(train, test or None, levels)` from an array file.

    A `.npy` file holds the examples, `[n, …]`. An `.npz` file holds them as `x` (or `images`, `data`,
    `x_train`), labels as `label` (or `labels`, `y`, `y_train`), and a test split, if it has one, as `x_test`
    and `y_test`. Integers 0..255 and booleans are kept as uint8 counts, and `[n, H, W]` of them becomes
    `[n, H, W, 1]`; real numbers become float32 as they are.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no data file {path}. Give the path of an .npz or .npy file.")
    if path.suffix == ".npy":
        arrays = {"x": np.load(path, allow_pickle=False)}
    else:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    x = _find(arrays, _NAMES["x"])
    if x is None:
        raise ValueError(f"{path}: found the arrays {list(arrays)}, but none named {', '.join(_NAMES['x'])}.")
    train = _split(path, x, _find(arrays, _NAMES["label"]))
    test = _split(path, arrays["x_test"], arrays.get("y_test")) if "x_test" in arrays else None
    if train.x.dtype != np.uint8:
        return train, test, None
    return train, test, 1 if train.x.max(initial=0) <= 1 else 255


def _find(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _split(path: Path, x: np.ndarray, label: np.ndarray | None) -> Split:
    if x.dtype.kind not in "buif" or x.ndim < 2:
        raise ValueError(f"{path}: examples must be numbers of shape [n, …], got {x.dtype} of shape {x.shape}.")
    if label is not None and label.shape != (len(x),):
        raise ValueError(f"{path}: labels must have shape ({len(x)},), got {label.shape}.")
    if label is not None:
        label = label.astype(np.int32)
    if x.dtype.kind == "f" or x.size == 0:
        return Split(x.astype(np.float32), label)
    if x.min() < 0 or x.max() > 255:
        raise ValueError(
            f"{path}: integers must be counts 0..255, got {x.min()}..{x.max()}. Save real numbers as float32."
        )
    x = x.astype(np.uint8)
    return Split(x[..., None] if x.ndim == 3 else x, label)
