"""Datasets of Hugging Face: `hf:NAME`, or a folder that `save_to_disk` wrote. Needs the extra `huggingface`."""

from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.dataset import Split
from vae_jax.data.folder import SPLITS, Colour, images_of
from vae_jax.data.images import Square
from vae_jax.data.labels import UNLABELLED
from vae_jax.data.table import Table, table_of

PREFIX = "hf:"


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote a folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "dataset_info.json"))


def hugging_face_splits(
    name: str,
    *,
    label: str | None = None,
    square: Square | None = None,
    colour: Colour | None = None,
    gap_words: bool = True,
) -> dict[str, Split | Table]:
    """The splits of a dataset: images with their labels where it has a column of images, else tables.

    `gap_words`: whether a string of a table may stand for a gap; the name of a class does not.
    ImportError where the extra is not installed, ValueError where no split is called train.
    """
    try:
        import datasets
    except ImportError as error:
        raise ImportError(
            f"{name} is read by datasets, which is not installed: pip install 'vae-jax[huggingface]'."
        ) from error

    if name.startswith(PREFIX):
        loaded: Any = datasets.load_dataset(name.removeprefix(PREFIX))
    else:
        loaded = datasets.load_from_disk(name)
    found: Any = loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    parts = {str(part): one for part, one in found.items()}
    options = {"label": label, "square": square, "colour": colour, "gap_words": gap_words}
    splits = {SPLITS[part]: _split(name, one, **options) for part, one in parts.items() if part in SPLITS}
    if "train" not in splits:
        raise ValueError(f"{name} has the splits {', '.join(parts)}, but none called train.")
    return splits


def _split(
    name: str, data: Any, *, label: str | None, square: Square | None, colour: Colour | None, gap_words: bool
) -> Split | Table:
    import datasets

    data = data.with_format(None)
    pictures = [column for column, kind in data.features.items() if isinstance(kind, datasets.Image)]
    classes = {column: kind for column, kind in data.features.items() if isinstance(kind, datasets.ClassLabel)}
    if not pictures:
        table = table_of(name, data.with_format("arrow")[:])
        # Classes by their names, as a file of strings has them.
        named = {column: _names(kind, table.columns[column]) for column, kind in classes.items()}
        gaps = {column: np.array([value or None for value in values], object) for column, values in named.items()}
        table = table.with_gaps() if gap_words else table
        return Table(table.columns | gaps)
    if label is not None and label not in data.features:
        raise ValueError(f"--label {label}: {name} has no such column; there are {', '.join(data.features)}.")
    if not len(data):
        raise ValueError(f"{name} has a split without rows: leave it out.")
    chosen = label or next(iter(classes), "label" if _is_class(data.features.get("label")) else None)
    images = data.select_columns(pictures[:1])
    x = images_of(len(data), lambda i: (f"{name}, row {i}", images[i][pictures[0]]), square, colour)
    if chosen is None:
        return Split(x, None)
    if chosen in classes:
        return Split(x, _names(classes[chosen], np.asarray(data[chosen])).astype(str))
    given = data[chosen]
    # The label of an example whose class is not known.
    unknown = "" if any(isinstance(value, str) for value in given) else UNLABELLED
    return Split(x, np.asarray([unknown if value is None else value for value in given]))


def _is_class(kind: Any) -> bool:
    """Whether a column of plain values may name classes: integers, booleans or strings."""
    return str(getattr(kind, "dtype", "")).startswith(("int", "uint", "bool", "string", "large_string"))


def _names(kind: Any, values: np.ndarray) -> np.ndarray:
    """Numbers of classes as their names; −1, for one that is not known, as the empty string."""
    return np.array(["" if np.isnan(v) or v < 0 else kind.int2str(int(v)) for v in values.astype(float)], object)
