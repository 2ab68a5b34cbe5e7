"""The user's own data: arrays, tables, folders of images, and datasets of Hugging Face."""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from vae_jax.config.fields import Kind
from vae_jax.data.columns import (
    SKIPPED,
    Column,
    Proposal,
    are_counts,
    as_strings,
    column_of,
    families_of,
    numbers,
    observed,
    proposal,
    unknown_values,
)
from vae_jax.data.dataset import Split
from vae_jax.data.files import read_file
from vae_jax.data.folder import SPLITS, Colour, image_splits
from vae_jax.data.hugging_face import PREFIX, hugging_face_splits, is_saved
from vae_jax.data.images import Square
from vae_jax.data.strings import is_strings
from vae_jax.data.table import ENDINGS as TABLES
from vae_jax.data.table import Cells, Table, joined_cells, read_columns, read_table

_ARRAYS = (".npz", ".npy")
_ORDER = ("train", "validation", "test")
# Columns of a table that are no part of x.
_SPLIT, _LABEL = "split", "label"


class Reading(NamedTuple):
    """How a source is read: what the likelihood is for, and what the config says of the data."""

    kind: Kind | None = None
    levels: int | None = None
    square: Square | None = None
    colour: Colour | None = None
    label: str | None = None
    columns: tuple[str, ...] = ()
    # Whether "?" or "NA" stands for a gap in a file with types too. It was a word to runs that were made before.
    gap_words: bool = True


def own_path(name: str) -> Path | None:
    """The file or folder that a dataset is called by; None of those that are known by a name, as of Hugging Face."""
    is_file_of_strings = is_strings(name) and bool(Path(name).suffix)
    return Path(name) if is_file_of_strings or (is_own(name) and not name.startswith(PREFIX)) else None


class Own(NamedTuple):
    """The splits "train", "validation" and "test" that a source has.

    Of a table `columns`, where they have families of their own, or the `names` of those that are plain numbers.
    """

    splits: dict[str, Split]
    columns: tuple[Column, ...] | None = None
    names: tuple[str, ...] | None = None


def is_own(name: str) -> bool:
    """Whether a dataset is the user's own, by its name: a file, a folder or a dataset of Hugging Face."""
    if is_strings(name):
        return False
    return name.startswith(PREFIX) or name.endswith((*_ARRAYS, *TABLES)) or "/" in name or os.sep in name


def read_own(name: str, reading: Reading) -> Own:
    """The data of a source. FileNotFoundError or ValueError, with what to do, for anything that cannot be read."""
    return as_rows(name, _parts(name, reading), reading)


def read_like(
    name: str,
    reading: Reading,
    known: Sequence[Column] | None,
    names: Sequence[str] | None,
    classes: Sequence[Any] | None = None,
) -> Own:
    """All rows of a source in their own order, with the columns that a model was trained on: `known`, or `names`.

    `classes`: those that it knows. The same errors.
    """
    strings = _of_strings(known or ())
    strings += [reading.label or _LABEL] if classes and isinstance(classes[0], str) else []
    parts = _in_one_piece(name, reading, strings)
    if _is_table(name):
        parts = {part: one.without(_SPLIT) if _has_splits(one) else one for part, one in parts.items()}
    there = {column for one in parts.values() if isinstance(one, Table) for column in one.columns}
    if there and reading.label not in there:
        reading = reading._replace(label=None)
    return as_rows(name, parts, reading, known, names)


def as_rows(
    name: str,
    parts: Mapping[str, Split | Table],
    reading: Reading,
    known: Sequence[Column] | None = None,
    names: Sequence[str] | None = None,
) -> Own:
    """Splits as they are, unless the likelihood is of columns; tables as numbers, with what their columns are."""
    if reading.kind != "columns" and not any(isinstance(one, Table) for one in parts.values()):
        return Own({part: one for part, one in parts.items() if isinstance(one, Split)})
    tables = {part: _as_table(name, one) for part, one in parts.items()}
    # What a model knows is part of x, whatever it is called.
    seen = [column.name for column in known or ()] or list(names or ())
    tables, labels = _labels(name, tables, reading.label, seen)
    columns = known
    if columns is None and (reading.kind == "columns" or (reading.kind is None and _mixed(tables))):
        columns = _columns(name, tables, reading.columns)
    if columns is None:
        # By name: two tables need not have their columns in one order.
        names = tuple(names or tables["train"].columns)
        _check_there(name, names, tables)
        tables = {part: Table({column: one.columns[column] for column in names}) for part, one in tables.items()}
        _check_plain(name, tables)
        x = {part: np.stack([*map(np.float64, one.columns.values())], axis=1) for part, one in tables.items()}
    else:
        names = None
        _check_known(name, columns, tables)
        x = {part: numbers(columns, one.columns) for part, one in tables.items()}
    splits = {part: Split(x[part], labels[part]) for part in tables}
    return Own(splits, None if columns is None else tuple(columns), names)


def proposed(name: str, reading: Reading) -> dict[str, Proposal]:
    """What each column of a table is taken for; {} where the source is no table, or is not read as one."""
    if reading.kind != "columns":
        return {}
    parts = {part: _as_table(name, one) for part, one in _parts(name, reading).items()}
    tables, _ = _labels(name, parts, reading.label)
    return _proposals(tables, reading.columns)


def read_all_cells(name: str, reading: Reading, columns: Sequence[Column] = ()) -> dict[str, Cells]:
    """The cells of every column of a table of the user's own; rows as in `read_like`.

    Columns in which a model knows strings hold strings.
    """
    strings = _of_strings(columns)
    path = Path(name)
    if _is_table(name):
        return read_columns(path, strings, gap_words=reading.gap_words)
    files = _split_files(path) if path.is_dir() else {}
    if files and all(file.suffix in TABLES for file in files.values()):
        parts = [read_columns(files[part], strings, gap_words=reading.gap_words) for part in _ORDER if part in files]
    else:
        tables = [_as_table(name, one).cells() for one in _parts(name, reading).values()]
        parts = [{column: Cells(values) for column, values in one.items()} for one in tables]
    shared = [column for column in parts[0] if all(column in one for one in parts)]
    return {column: joined_cells([one[column] for one in parts]) for column in shared}


def _of_strings(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns if column.values and isinstance(column.values[0], str)]


def _is_table(name: str) -> bool:
    return Path(name).is_file() and name.endswith(TABLES)


def _in_one_piece(name: str, reading: Reading, strings: Sequence[str] = ()) -> dict[str, Split | Table]:
    """The splits, but for those that a column of a table tells apart: its rows stay in their order."""
    if _is_table(name):
        return {"train": _table_of_file(Path(name), reading, strings)}
    return _parts(name, reading, strings)


def _table_of_file(path: Path, reading: Reading, strings: Sequence[str]) -> Table:
    """The table, whose columns of these names, those that it has, hold strings."""
    found = read_table(path, [column for column in strings if column in read_table(path).columns])
    return found.with_gaps() if reading.gap_words else found


def _parts(name: str, reading: Reading, strings: Sequence[str] = ()) -> dict[str, Split | Table]:
    """The splits: train, validation, test."""
    parts = _in_any_order(name, reading, strings)
    return {part: parts[part] for part in _ORDER if part in parts}


def _in_any_order(name: str, reading: Reading, strings: Sequence[str]) -> dict[str, Split | Table]:
    path = Path(name)
    options = {"square": reading.square, "colour": reading.colour}
    if is_of_datasets(name):
        return hugging_face_splits(name, label=reading.label, gap_words=reading.gap_words, **options)
    if path.is_dir():
        files = _split_files(path)
        if not files:
            return dict(image_splits(path, **options))
        parts = {part: _alone(file, _of_file(file, reading, strings)) for part, file in files.items()}
        # What looks like numbers in one file may be strings in another.
        mixed = [column for one in parts.values() if isinstance(one, Table) for column in one.strings()]
        if not mixed:
            return parts
        return {part: _alone(file, _of_file(file, reading, [*strings, *mixed])) for part, file in files.items()}
    return _of_file(path, reading, strings)


def _alone(file: Path, parts: dict[str, Split | Table]) -> Split | Table:
    """The one split of a file that is a split itself."""
    if len(parts) > 1:
        raise ValueError(
            f"{file} holds the splits {', '.join(parts)}, but in a folder of splits each file is one. Give the file "
            "alone, or take the others out of it."
        )
    return next(iter(parts.values()))


def _split_files(folder: Path) -> dict[str, Path]:
    """The files train, test and validation of a folder; {} where it is one of images. ValueError for two of a kind."""
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.stem in SPLITS and file.is_file() and file.suffix in (*_ARRAYS, *TABLES):
            part = SPLITS[file.stem]
            if part in files:
                both = f"{files[part].name} and {file.name}"
                raise ValueError(f"{folder} holds both {both} for the {part} split: keep one.")
            files[part] = file
    return files if "train" in files else {}


def is_of_datasets(name: str) -> bool:
    """Whether a source is read by Hugging Face's library: one of its hub, or saved by it."""
    return name.startswith(PREFIX) or is_saved(Path(name))


def is_decoded(name: str) -> bool:
    """Whether the images of a source are cut and scaled as they are decoded, since they may differ in size."""
    return is_of_datasets(name) or (Path(name).is_dir() and not _split_files(Path(name)))


def _has_splits(one: Split | Table) -> TypeGuard[Table]:
    """Whether a table has a column that says which split a row is of."""
    return isinstance(one, Table) and _SPLIT in one.columns and one.columns[_SPLIT].dtype.kind == "O"


def _of_file(path: Path, reading: Reading, strings: Sequence[str]) -> dict[str, Split | Table]:
    if path.suffix in _ARRAYS:
        return dict(read_file(path))
    if path.suffix not in TABLES:
        raise FileNotFoundError(
            f"no data {path}. It must be a folder of images, or a file ending in {', '.join((*_ARRAYS, *TABLES))}."
        )
    whole = _table_of_file(path, reading, strings)
    if not _has_splits(whole):
        return {"train": whole}
    split = whole.columns[_SPLIT]
    if unknown := sorted({str(value) for value in split} - set(SPLITS)):
        raise ValueError(
            f"{path}: the column {_SPLIT} says which split a row is of, {', '.join(SPLITS)}; got {', '.join(unknown)}."
        )
    rows = {part: np.array([SPLITS[value] == part for value in split]) for part in _ORDER}
    if not rows["train"].any():
        raise ValueError(f"{path}: no row of the column {_SPLIT} says train, so there is nothing to learn from.")
    return {part: whole.take(chosen).without(_SPLIT) for part, chosen in rows.items() if chosen.any()}


def _as_table(name: str, split: Split | Table) -> Table:
    if isinstance(split, Table):
        return split
    if split.x.ndim != 2:
        raise ValueError(
            f"--likelihood columns is for tables, x of shape (n, columns), but {name} has {split.x.shape}."
        )
    columns = {f"x{j}": column.astype(np.float64) for j, column in enumerate(split.x.T)}
    if split.label is None:
        return Table(columns)
    is_text = split.label.dtype.kind in "US"
    return Table(columns | {_LABEL: split.label.astype(object) if is_text else split.label})


def _labels(
    name: str, tables: dict[str, Table], label: str | None, seen: Sequence[str] = ()
) -> tuple[dict[str, Table], dict[str, np.ndarray | None]]:
    """The tables without their column of labels, and the labels."""
    names = list(tables["train"].columns)
    if label is not None and label not in names:
        raise ValueError(f"--label {label}: {name} has no such column; there are {', '.join(names)}.")
    chosen = label or (_LABEL if _LABEL in names and _LABEL not in seen else None)
    if chosen is None:
        return tables, dict.fromkeys(tables)
    labels: dict[str, np.ndarray | None] = {}
    for part, one in tables.items():
        values = one.columns.get(chosen)
        if values is not None and values.dtype.kind == "O":
            values = np.array(["" if value is None else str(value) for value in values])
        labels[part] = values
    return {part: one.without(chosen) for part, one in tables.items()}, labels


def _mixed(tables: dict[str, Table]) -> bool:
    return any(_unfit(values) for one in tables.values() for values in one.columns.values())


def _unfit(values: np.ndarray) -> str | None:
    """What keeps a column from being plain numbers."""
    if any(isinstance(value, str) for value in values.tolist()):
        return "strings"
    return "gaps" if len(observed(values)) < len(values) else None


def _check_plain(name: str, tables: dict[str, Table]) -> None:
    unfit = {
        column: why for one in tables.values() for column, values in one.columns.items() if (why := _unfit(values))
    }
    if unfit:
        listed = ", ".join(f"{column} ({why})" for column, why in list(unfit.items())[:5])
        more = f" and {len(unfit) - 5} more" if len(unfit) > 5 else ""
        raise ValueError(
            f"{name} is a table with the columns {listed}{more}, which are no plain numbers. Train it as the config "
            f"table does: vae-jax train table --dataset {name}."
        )


def _proposals(tables: dict[str, Table], asked: Sequence[str]) -> dict[str, Proposal]:
    names = list(tables["train"].columns)
    families = families_of(asked, names)
    return {
        column: Proposal(families[column], "as you say") if column in families else proposal(_joined(tables, column))
        for column in names
    }


def _joined(tables: dict[str, Table], column: str) -> np.ndarray:
    """A column of all splits. ValueError where one lacks it."""
    for part, one in tables.items():
        if column not in one.columns:
            raise ValueError(f"the {part} split has no column {column}, which the training split has.")
    parts = [one.columns[column] for one in tables.values()]
    # A column may hold strings in one split and nothing but gaps in another.
    if any(values.dtype.kind == "O" for values in parts):
        parts = [values if values.dtype.kind == "O" else as_strings(values) for values in parts]
    return np.concatenate(parts)


def _columns(name: str, tables: dict[str, Table], asked: Sequence[str]) -> list[Column]:
    proposals = _proposals(tables, asked)
    kept = [column for column, found in proposals.items() if found.family != SKIPPED]
    if not kept:
        raise ValueError(f"{name} has no column to learn from: all {len(proposals)} are left out.")
    return [column_of(column, _joined(tables, column), proposals[column].family) for column in kept]


def _check_there(name: str, names: Sequence[str], tables: dict[str, Table]) -> None:
    for part, one in tables.items():
        if missing := [column for column in names if column not in one.columns]:
            # A model is given all rows of another file as one split.
            where = name if len(tables) == 1 else f"the {part} split of {name}"
            raise ValueError(f"{where} lacks the columns {', '.join(missing)}, which the model is trained on.")


def _check_known(name: str, columns: Sequence[Column], tables: dict[str, Table]) -> None:
    """ValueError where a column is missing or of another kind; a warning of values that the columns do not know."""
    _check_there(name, [column.name for column in columns], tables)
    for one in tables.values():
        wrong = [c.name for c in columns if not c.values and one.columns[c.name].dtype.kind == "O"]
        if wrong:
            raise ValueError(f"{name}: the columns {', '.join(wrong)} hold strings where the model knows numbers.")
        for column in columns:
            if column.family == "counts" and not are_counts(one.columns[column.name]):
                raise ValueError(
                    f"{name}: {column.name} is a count to the model, whole and never negative, but holds other "
                    "numbers. Leave such a cell empty where it stands for a gap."
                )
        for column, values in unknown_values(columns, one.columns).items():
            warnings.warn(
                f"{name}: {column} holds {', '.join(map(str, values[:3]))}, which the model was not trained on. They "
                "are taken for gaps.",
                stacklevel=3,
            )
