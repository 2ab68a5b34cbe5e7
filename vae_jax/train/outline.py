"""RUN/data.npz, what a run keeps of its data: enough to open the model without them, and to see that they changed."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from vae_jax.config.fields import Data, Experiment
from vae_jax.core.arrays import read_arrays, write_arrays
from vae_jax.core.errors import RequestError
from vae_jax.data import Dataset, Split, is_embedded
from vae_jax.data.columns import Column
from vae_jax.data.own import own_path
from vae_jax.data.rows import blocks
from vae_jax.data.units import Units
from vae_jax.languages.grammar import Grammar, Rule
from vae_jax.systems.conditional import MOST_EXAMPLES
from vae_jax.train.files import CONFIG, DATA

_SPLITS = ("train", "validation", "test")
# What a model is trained or measured on. Factors may be added later.
_COMPARED = ("x", "label", "condition")


def outline_of(dataset: Dataset) -> dict[str, Any]:
    """What is kept of a dataset, by name: words and numbers, and the arrays of its labels, conditions and units."""
    train, grammar = dataset.train, dataset.grammar
    arrays = {
        "label": train.label,
        "condition": None if train.condition is None else train.condition[:MOST_EXAMPLES],
        **({} if dataset.units is None else dataset.units._asdict()),
    }
    return {
        "name": dataset.name,
        "shape": dataset.shape,
        "sizes": [len(split.x) for split in dataset.splits],
        "levels": dataset.levels,
        "source_levels": dataset.source_levels,
        "as_counts": dataset.as_counts,
        "photographs": dataset.photographs,
        "span": dataset.span,
        "classes": dataset.classes,
        "columns": dataset.columns,
        "names": dataset.names,
        "range": [float(of([of(some, initial=0) for some in blocks(train.x)])) for of in (np.nanmin, np.nanmax)],
        "grammar": None if grammar is None else grammar.rules,
        "digests": _digests(dataset),
        "shuffled_test": True,
        "gap_words": True,
        **{name: array for name, array in arrays.items() if array is not None},
        **({} if train.label is None else {"largest_label": _largest_label(dataset)}),
    }


def _largest_label(dataset: Dataset) -> int:
    return max(int(split.label.max(initial=-1)) for split in dataset.splits if split.label is not None)


def write_outline(directory: Path, outline: dict[str, Any]) -> None:
    """Keep an outline in the directory of a run."""
    arrays = {name: outline[name] for name in ("label", "condition", *Units._fields) if name in outline}
    told = {name: value for name, value in outline.items() if name not in arrays}
    write_arrays(directory / DATA, {"told": json.dumps(told), **arrays}, compressed=True)


def read_outline(directory: Path) -> dict[str, Any] | None:
    """What was kept; None of a run of version 0.1.0, which kept nothing. DamagedError where it is not what was kept."""
    if not (directory / DATA).is_file():
        return None
    arrays = read_arrays(directory / DATA)
    return {**json.loads(str(arrays.pop("told"))), **arrays}


class Manner(TypedDict):
    """How data of the user's own are read. A run that was made before either was so has its data as they were."""

    # Whether their test split is shuffled.
    shuffle_test: bool
    # Whether a string of a file with types may stand for a gap.
    gap_words: bool


def manner_of(directory: Path | None) -> Manner:
    """How the data of a run are read; those of a new run where there is none."""
    if directory is None or not (directory / CONFIG).is_file():
        return {"shuffle_test": True, "gap_words": True}
    outline = read_outline(directory) or {}
    return {"shuffle_test": outline.get("shuffled_test", False), "gap_words": outline.get("gap_words", False)}


def check_place(data: Data, directory: Path) -> None:
    """FileNotFoundError where the file or folder that a run was trained on has gone."""
    path = own_path(data.dataset)
    # What stands in for strings is made from their grammar.
    if path is not None and not data.stand_in and not path.exists():
        raise FileNotFoundError(f"no data file {path}, on which {directory} was trained: put it back there.")


def check_same(directory: Path, dataset: Dataset) -> None:
    """RequestError where the data are not those that a run was made with."""
    outline = read_outline(directory)
    # Embedded data are made, and may differ in a last digit from device to device.
    if outline is None or is_embedded(dataset.name):
        return
    found = _digests(dataset)
    changed = [name for name, digest in outline["digests"].items() if found.get(name) != digest]
    if changed:
        raise RequestError(
            f"the data of {directory} have changed since it was made: {', '.join(changed)} of {dataset.name}. Its test "
            "split may now hold examples that it was trained on. Put the file back as it was, or train anew."
        )


def outlined(config: Experiment, outline: dict[str, Any]) -> Dataset:
    """A dataset of zeros in the place of the data: with it a model can be opened, but not trained or measured."""
    shape, classes = tuple(outline["shape"]), outline["classes"]
    stored = np.float32 if outline["levels"] is None else np.uint8
    label, condition = outline.get("label"), outline.get("condition")

    def zeros(count: int) -> Split:
        """No memory is taken: every example is the same one."""
        x, *beside = (
            None if one is None else np.broadcast_to(np.zeros((), one.dtype), (count, *one.shape[1:]))
            for one in (np.zeros((0, *shape), stored), label, condition)
        )
        return Split(x, *beside)  # pyright: ignore[reportArgumentType]

    train, *others = map(zeros, outline["sizes"])
    if label is not None and "largest_label" in outline:
        # A class may be met in another split alone.
        largest = np.asarray(outline["largest_label"], label.dtype)
        others = [split._replace(label=np.broadcast_to(largest, len(split.x))) for split in others]
    if condition is not None:
        # Some of them were kept, and as many as there are examples are asked for.
        condition = np.resize(condition, (len(train.x), *condition.shape[1:]))
    columns, names = outline.get("columns"), outline.get("names")
    units = Units(outline["centre"], outline["spread"]) if "centre" in outline else None
    rules = [Rule(left, tuple(map(tuple, right))) for left, right in outline["grammar"] or ()]
    return Dataset(
        outline["name"],
        train._replace(label=label, condition=condition),
        *others,
        levels=outline["levels"],
        binarisation=config.data.binarisation,
        seed=config.data.data_seed,
        source_levels=outline["source_levels"],
        as_counts=outline["as_counts"],
        photographs=outline["photographs"],
        span=tuple(outline.get("span", (0.0, 1.0))),
        grammar=Grammar(tuple(rules)) if rules else None,
        classes=None if classes is None else tuple(classes),
        names=None if names is None else tuple(names),
        columns=None if columns is None else tuple(Column(name, of, tuple(values)) for name, of, values in columns),
        units=units,
    )


def _digests(dataset: Dataset) -> dict[str, str]:
    """A digest of each array of the splits by name, "test x"."""
    digests = {}
    for part, split in zip(_SPLITS, dataset.splits, strict=True):
        for name in _COMPARED:
            array = getattr(split, name)
            if array is not None:
                content = hashlib.sha256(repr((array.dtype.str, array.shape)).encode())
                for some in blocks(array):
                    content.update(np.ascontiguousarray(some).tobytes())
                digests[f"{part} {name}"] = content.hexdigest()
    return digests
