"""The user's own `.npz` and `.npy` files."""

import zipfile
from pathlib import Path

import numpy as np

from vae_jax.data.dataset import Split

_NAMES = {"x": ("x", "images", "data", "x_train"), "label": ("label", "labels", "y", "y_train")}
_CONDITION = "condition"
_FACTORS = "factors"


def read_file(path: Path) -> tuple[Split, Split | None, int | None]:
    """`(train, test or None, levels)` from an array file.

    A `.npy` file holds the examples, `[n, …]`. An `.npz` file holds them as `x` (or `images`, `data`, `x_train`),
    the labels as `label` (or `labels`, `y`, `y_train`), and a test split, if it has one, as `x_test` and `y_test`.
    A conditional model is told `condition` (and `condition_test`), real numbers `[n]` or `[n, c]`. Codes are scored
    by `factors` (and `factors_test`), integers `[n, f]`: the values that the examples were made from. Integers
    0..255, booleans, and real numbers that are all 0 or 1 are kept as uint8 counts; other real numbers become
    float32 as they are. `[n, H, W]` becomes `[n, H, W, 1]`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no data file {path}. Give the path of an .npz or .npy file.")
    arrays = _arrays(path)
    x = _find(arrays, _NAMES["x"])
    if x is None:
        raise ValueError(f"{path}: found the arrays {list(arrays)}, but none named {', '.join(_NAMES['x'])}.")
    train = _split(path, x, _find(arrays, _NAMES["label"]), arrays.get(_CONDITION), arrays.get(_FACTORS))
    test = None
    if "x_test" in arrays:
        beside = (arrays.get(name) for name in ("y_test", f"{_CONDITION}_test", f"{_FACTORS}_test"))
        test = _split(path, arrays["x_test"], *beside)
    if test is not None and (test.x.dtype, test.x.shape[1:]) != (train.x.dtype, train.x.shape[1:]):
        raise ValueError(
            f"{path}: x_test must be of the same kind as the training examples, {train.x.dtype} of shape "
            f"{train.x.shape[1:]}, got {test.x.dtype} of shape {test.x.shape[1:]}."
        )
    if train.x.dtype != np.uint8:
        return train, test, None
    most = max(int(split.x.max(initial=0)) for split in (train, test) if split is not None)
    return train, test, 1 if most <= 1 else 255


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if path.suffix == ".npy":
            return {"x": np.load(path, allow_pickle=False)}
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} cannot be read as a {path.suffix} file of numbers: it is damaged or of another kind."
        ) from error


def _find(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _split(
    path: Path,
    x: np.ndarray,
    label: np.ndarray | None,
    condition: np.ndarray | None,
    factors: np.ndarray | None,
) -> Split:
    if x.dtype.kind not in "buif" or x.ndim < 2:
        raise ValueError(f"{path}: examples must be numbers of shape [n, …], got {x.dtype} of shape {x.shape}.")
    if label is not None and label.shape != (len(x),):
        raise ValueError(f"{path}: labels must have shape ({len(x)},), got {label.shape}.")
    if label is not None and label.dtype.kind not in "bui":
        raise ValueError(f"{path}: labels must be integers, got {label.dtype}. Number the classes 0, 1, 2, ….")
    if label is not None:
        label = label.astype(np.int32)
    if condition is not None:
        condition = _conditions(path, condition, len(x))
    if factors is not None and (factors.dtype.kind not in "bui" or factors.ndim != 2 or len(factors) != len(x)):
        raise ValueError(
            f"{path}: {_FACTORS} must be integers of shape ({len(x)}, f), got {factors.dtype} of shape {factors.shape}."
        )
    if x.ndim == 3:
        x = x[..., None]
    bits = x.dtype.kind == "f" and x.size > 0 and bool(np.isin(x, (0.0, 1.0)).all())
    if (x.dtype.kind == "f" and not bits) or x.size == 0:
        return Split(x.astype(np.float32), label, condition, factors)
    if x.min() < 0 or x.max() > 255:
        raise ValueError(
            f"{path}: integers must be counts 0..255, got {x.min()}..{x.max()}. Save real numbers as float32."
        )
    return Split(x.astype(np.uint8), label, condition, factors)


def _conditions(path: Path, condition: np.ndarray, count: int) -> np.ndarray:
    if condition.dtype.kind not in "buif" or condition.ndim not in (1, 2) or len(condition) != count:
        raise ValueError(
            f"{path}: {_CONDITION} must be numbers of shape ({count},) or ({count}, c), got {condition.dtype} of shape "
            f"{condition.shape}."
        )
    if not np.isfinite(condition).all():
        raise ValueError(f"{path}: {_CONDITION} holds NaN or infinite values. Remove those examples first.")
    return condition.astype(np.float32).reshape(count, -1)
