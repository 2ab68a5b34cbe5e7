"""Image datasets of TensorFlow Datasets, read from prepared array_record folders without TensorFlow."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.dataset import Split

# Items decoded at a time.
_BLOCK = 1024
# A yes or no for each of several names, as celeb_a has them.
_ATTRIBUTES = "attributes"


@functools.cache
def tfds_names() -> frozenset[str]:
    """Every dataset name that TFDS knows."""
    import tensorflow_datasets as tfds

    return frozenset(tfds.list_builders(with_community_datasets=False))


def read_tfds(
    name: str, data_dir: str | Path | None, *, label: str | None = None, scale: Callable[[np.ndarray], np.ndarray]
) -> tuple[Split, Split | None]:
    """`(train, test or None)` of an image dataset: uint8 `[n, H, W, C]`, labels where there are any.

    `label`: the name of one among several; by default the one called label. `scale`: applied to the images block by
    block, so that large ones need not be held in memory.

    `data_dir` is the folder that holds `name/version/`; by default the one of the variable TFDS_DATA_DIR, or
    `~/tensorflow_datasets`. FileNotFoundError, with the folder looked in and the command to prepare the
    data, where it is not there.
    """
    folder = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    versions = sorted(folder.glob(f"{name}/*/*.array_record*"))
    if not versions:
        there = "holds no array_record files of it" if folder.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"no data for {name}: the folder {folder / name} {there}. Name another folder with --data-dir, or "
            f"prepare it once (downloads; needs TensorFlow): pip install 'vae-jax[prepare]' && "
            f"tfds build {name} --file_format=array_record --data_dir={folder}"
        )
    try:
        import array_record  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "reading TFDS data needs the package array_record, which exists for Linux only. Elsewhere, save "
            "the images as an .npz file (x, label) and give its path."
        ) from error
    import tensorflow_datasets as tfds

    sources: Any = tfds.data_source(name, data_dir=str(folder), download=False)
    train = _read(name, sources["train"], label, scale)
    return train, _read(name, sources["test"], label, scale) if "test" in sources else None


def _read(name: str, source: Any, label: str | None, scale: Callable[[np.ndarray], np.ndarray]) -> Split:
    images: list[np.ndarray] = []
    labels: list[Any] = []
    factors: list[Any] = []
    size = len(source)
    for start in range(0, size, _BLOCK):
        rows = source.__getitems__(range(start, min(start + _BLOCK, size)))
        if "image" not in rows[0]:
            raise ValueError(f"{name} has no images; its features are {sorted(rows[0])}.")
        images.append(scale(np.stack([row["image"] for row in rows])))
        labels.extend(_labels(name, rows, label))
        factors.extend([row[factor] for factor in _factor_names(rows[0])] for row in rows)
    return Split(
        np.concatenate(images),
        np.asarray(labels, np.int32) if labels else None,
        factors=np.asarray(factors, np.int32) if factors and factors[0] else None,
    )


def _factor_names(row: dict[str, Any]) -> list[str]:
    """What dsprites and shapes3d call their factors: label_shape, label_scale, … as class numbers."""
    return sorted(feature for feature in row if feature.startswith("label_") and _is_number(row[feature]))


def _is_number(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "bui" and not np.ndim(value)


def _labels(name: str, rows: list[dict[str, Any]], label: str | None) -> list[Any]:
    several = rows[0].get(_ATTRIBUTES, {})
    if label in several:
        return [row[_ATTRIBUTES][label] for row in rows]
    numbers = {feature for feature, value in rows[0].items() if _is_number(value)}
    if label is not None and label not in numbers:
        known = sorted(numbers | set(several))
        raise ValueError(f"{name} has no label {label!r}; it has {', '.join(known) or 'none'}.")
    return [row[label or "label"] for row in rows if (label or "label") in row]
