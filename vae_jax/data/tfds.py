"""Image datasets of TensorFlow Datasets, read from prepared array_record folders without TensorFlow."""

import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.cache import cache_file, kept_arrays
from vae_jax.data.dataset import Split
from vae_jax.data.examples import Examples
from vae_jax.data.images import Square, check_size, scaled

# Items whose labels are read at a time.
_BLOCK = 1024
# A yes or no for each of several names, as celeb_a has them.
_ATTRIBUTES = "attributes"


@functools.cache
def tfds_names() -> frozenset[str]:
    """Every dataset name that TFDS knows."""
    import tensorflow_datasets as tfds

    return frozenset(tfds.list_builders(with_community_datasets=False))


def read_tfds(
    name: str, data_dir: str | Path | None, *, label: str | None = None, square: Square | None = None
) -> tuple[Split, Split | None]:
    """`(train, test or None)` of an image dataset: uint8 `[n, H, W, C]`, labels where there are any.

    `label`: the name of one among several; by default the one called label. `square`: what images are cut and scaled
    to, one by one, so that large ones need not be held in memory. Decoded images are kept (`vae_jax.data.cache`); those
    that do not fit the memory are decoded when they are needed (`vae_jax.data.rows.Rows`).

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
    # The very files, as they are now, decide what is read.
    files = [(path.resolve(), path.stat().st_size, path.stat().st_mtime_ns) for path in versions]
    path = cache_file("images", [name, label, square, *files])
    kept = kept_arrays(path, lambda: _read_all(name, folder, label, square))
    return _split(kept, "train"), _split(kept, "test") if "test_x" in kept else None


def _split(kept: dict[str, Any], part: str) -> Split:
    return Split(kept[f"{part}_x"], kept.get(f"{part}_label"), factors=kept.get(f"{part}_factors"))


def _read_all(name: str, folder: Path, label: str | None, square: Square | None) -> dict[str, Any]:
    """The arrays of both splits that there are: `train_x`, `train_label`, …, `test_factors`."""
    try:
        import array_record  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "reading TFDS data needs the package array_record: pip install array_record. Where there is none, as for "
            "Windows, save the images as an .npz file (x, label) and give its path."
        ) from error
    import tensorflow_datasets as tfds

    sources: Any = tfds.data_source(name, data_dir=str(folder), download=False)
    if "image" not in sources["train"][0]:
        raise ValueError(f"{name} has no images; its features are {sorted(sources['train'][0])}.")
    # The same, without the work of decoding images.
    decoders: Any = {"image": tfds.decode.SkipDecoding()}
    beside: Any = tfds.data_source(name, data_dir=str(folder), download=False, decoders=decoders)
    arrays = {}
    for part in ("train", "test") if "test" in sources else ("train",):
        # First: a label that there is not is told before all images are decoded.
        arrays |= {f"{part}_{field}": array for field, array in _beside(name, beside[part], label).items()}
        arrays[f"{part}_x"] = _images(f"{name}, {part}", sources[part], square).held()
    return arrays


def _images(name: str, source: Any, square: Square | None) -> Examples:
    def pixels(image: np.ndarray) -> np.ndarray:
        return image if square is None else scaled(image[None], square)[0]

    first = source[0]["image"]
    if first.dtype != np.uint8:
        raise ValueError(
            f"{name} has images of {first.dtype}, not of 8 bits. Save them as an .npz file, and give its path."
        )
    shape = pixels(first).shape

    def read(numbers: list[int]) -> list[np.ndarray]:
        found = [pixels(row["image"]) for row in source.__getitems__(numbers)]
        for number, one in zip(numbers, found, strict=True):
            check_size(one.shape, shape, (f"{name}, row 0", f"row {number}"))
        return found

    return Examples(len(source), read)


def _beside(name: str, source: Any, label: str | None) -> dict[str, np.ndarray]:
    """`label` and `factors` where there are any."""
    labels: list[Any] = []
    factors: list[Any] = []
    for first in range(0, len(source), _BLOCK):
        rows = source.__getitems__(range(first, min(first + _BLOCK, len(source))))
        labels.extend(_labels(name, rows, label))
        factors.extend([row[factor] for factor in _factor_names(rows[0])] for row in rows)
    arrays = {}
    if labels:
        arrays["label"] = np.asarray(labels, np.int32)
    if factors and factors[0]:
        arrays["factors"] = np.asarray(factors, np.int32)
    return arrays


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
