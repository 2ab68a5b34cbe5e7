"""Tables: `.csv` and `.parquet` files, read by pyarrow, which TFDS brings along."""

import csv
import datetime
import functools
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.core.files import replacing
from vae_jax.data.columns import as_string, as_strings

ENDINGS = (".csv", ".tsv", ".parquet")
# What stands for a gap in a text, beside an empty field.
_GAPS = ["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None"]
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")


class Table(NamedTuple):
    """Raw values `[n]` by the name of their column: float64 with NaN for a gap, or strings or booleans with None."""

    columns: dict[str, np.ndarray]

    def take(self, rows: np.ndarray) -> "Table":
        """The given rows."""
        return Table({name: values[rows] for name, values in self.columns.items()})

    def without(self, name: str) -> "Table":
        """The other columns."""
        return Table({other: values for other, values in self.columns.items() if other != name})

    def with_gaps(self) -> "Table":
        """The same with a gap for each word that stands for one, as a text is read: a file with types may hold them."""
        return Table({name: _with_gaps(values) for name, values in self.columns.items()})

    def strings(self) -> list[str]:
        """The columns that hold a string."""
        return [name for name, values in self.columns.items() if any(isinstance(v, str) for v in values.tolist())]

    def cells(self) -> dict[str, list[Any]]:
        """The columns for a file: None for a gap, and no point in whole numbers."""
        return {name: _plain(values) for name, values in self.columns.items()}


def _with_gaps(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "O" or not any(value in _GAPS for value in set(values.tolist())):
        return values
    return np.array([None if value in _GAPS else value for value in values.tolist()], object)


def _plain(values: np.ndarray) -> list[Any]:
    if values.dtype.kind == "O":
        return values.tolist()
    known = values[~np.isnan(values)]
    # Above 2^53 a float64 is no whole number that anybody wrote.
    whole = np.array_equal(known, np.floor(known)) and bool((np.abs(known) < 2.0**53).all())
    return [None if np.isnan(value) else int(value) if whole else float(value) for value in values]


def read_table(path: Path, strings: Collection[str] = ()) -> Table:
    """The table in a file. `strings`: columns that hold strings, though what stands in them may look like numbers.

    FileNotFoundError or ValueError, with what to do, where it cannot be read.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no data file {path}. Give the path of a {' or '.join(ENDINGS)} file.")
    stamp = path.stat()
    return _read(path, frozenset(strings), stamp.st_size, stamp.st_mtime_ns)


class Cells(NamedTuple):
    """The cells of a column. `values`: None for a gap. `texts`: as they stand in a file of text; None of another."""

    values: list[Any]
    texts: list[str] | None = None

    def known(self, *, as_text: bool = False) -> list[Any]:
        """The cells as they stand in the file: with their types, but texts where a type would not keep them.

        `as_text`: all as texts, which the file must have.
        """
        if as_text and self.texts is not None:
            return self.texts
        if self.texts is None or not _rewritten(self.values, self.texts):
            return self.values
        return [None if value is None else text for value, text in zip(self.values, self.texts, strict=True)]

    def filled(self, fills: Sequence[Any], *, as_text: bool = False) -> list[Any]:
        """The same with numbers and words `fills`, one a row, in the gaps, in the form of the known cells."""
        known = self.known(as_text=as_text)
        fills = [fill if value is None else None for value, fill in zip(self.values, fills, strict=True)]
        if as_text and self.texts is not None:
            fills = _texts_like(cells_like(fills, self.values), self.values, self.texts)
        else:
            fills = cells_like(fills, known)
        return [b if value is None else a for value, a, b in zip(self.values, known, fills, strict=True)]


def joined_cells(parts: Sequence[Cells]) -> Cells:
    """The cells of several files below each other: with their texts where all are of text."""
    texts = [text for part in parts if part.texts is not None for text in part.texts]
    values = [value for part in parts for value in part.values]
    if len(texts) == len(values):
        return Cells(values, texts)
    return Cells([value for part in parts for value in part.known()])


def read_columns(path: Path, strings: Collection[str] = (), *, gap_words: bool = True) -> dict[str, Cells]:
    """The columns of a file with the types that its cells have, and of a text as they stand in it too.

    `strings` as for `read_table`. `gap_words`: whether a string of a `.parquet` may stand for a gap. The same errors.
    """
    strings = [name for name in strings if name in read_table(path).columns]
    values = _lists(_arrow(path, strings))
    if path.suffix == ".parquet":
        gaps = _GAPS if gap_words else ()
        return {
            name: Cells([None if isinstance(cell, str) and cell in gaps else cell for cell in cells])
            for name, cells in values.items()
        }
    texts = _lists(_arrow(path, list(values), gaps=False))
    return {name: Cells(cells, texts[name]) for name, cells in values.items()}


def _lists(table: Any) -> dict[str, list[Any]]:
    import pyarrow as pa

    def cells(array: Any) -> list[Any]:
        # Python knows no nanoseconds.
        fine = array.cast(pa.timestamp("us", array.type.tz), safe=False) if pa.types.is_timestamp(array.type) else array
        return [None if value != value else value for value in fine.to_pylist()]

    return {name: cells(table[name]) for name in table.column_names}


def cells_like(values: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    """Numbers and words for the gaps of a column, of the type that its `known` cells have."""
    kind = next((value for value in known if value is not None), None)
    return [value if kind is None or value is None else _cell_like(value, kind) for value in values]


def _cell_like(value: Any, kind: Any) -> Any:
    if isinstance(kind, str | bool) or isinstance(value, str | bool):
        return as_string(value) if isinstance(kind, str) else value
    if isinstance(kind, int):
        # A mean of integers may lie between two, but not where a float holds no integers any more.
        return int(value) if float(value).is_integer() or abs(kind) >= 2**53 else value
    if isinstance(kind, float):
        return value
    if isinstance(kind, Decimal):
        return Decimal(str(value))
    # Of time all are seconds, as `read_table` has them.
    seconds = datetime.timedelta(seconds=float(value))
    if isinstance(kind, datetime.datetime):
        return datetime.datetime(1970, 1, 1, tzinfo=kind.tzinfo and datetime.UTC) + seconds
    if isinstance(kind, datetime.date):
        return datetime.date(1970, 1, 1) + seconds
    if isinstance(kind, datetime.time):
        return (datetime.datetime(1970, 1, 1) + seconds).time()
    return seconds if isinstance(kind, datetime.timedelta) else value


def _rewritten(values: list[Any], written: list[str]) -> bool:
    """Whether a type would not keep cells: "00501" is no number, and a float has no 20 digits."""
    # Of several files one may have words where another has numbers.
    if len({isinstance(value, str) for value in values if value is not None}) > 1:
        return True
    return any(
        str(value) != text if type(value) is int else _WHOLE.fullmatch(text) is not None and int(text) != value
        for value, text in zip(values, written, strict=True)
        if type(value) is int or type(value) is float
    )


def _texts_like(fills: Sequence[Any], values: Sequence[Any], texts: Sequence[str]) -> list[str]:
    """Cells for the gaps of a column as text, as its known `values` are written."""
    written = {value: text for value, text in zip(values, texts, strict=True) if value is not None}
    # Of times the finest says how fine they are.
    like = max(written.values(), key=len, default="")
    return [written[value] if value in written else _text_like(value, like) for value in fills]


def _text_like(value: Any, like: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        word = str(value)
        return next((case(word) for case in (str.lower, str.upper) if case(like) == like), word)
    if isinstance(value, datetime.datetime | datetime.time):
        text = value.isoformat(timespec=_timespec(like))
        text = text if "T" in like else text.replace("T", " ")
        return text.replace("+00:00", "Z") if like.endswith("Z") else text
    if isinstance(value, float) and (abs(value) < 2.0**53 or _WHOLE.fullmatch(like)):
        return as_string(value) or ""
    return str(value)


def _timespec(like: str) -> str:
    """How fine the time of a text is, as `isoformat` calls it."""
    clock = re.search(r"\d\d:\d\d(:\d\d)?(\.\d+)?", like)
    if clock is None or clock[2] is None:
        return "minutes" if clock and clock[1] is None else "seconds"
    return "milliseconds" if len(clock[2]) <= 4 else "microseconds"


# A new run looks at its table several times: what the columns are, and then their values.
@functools.lru_cache(maxsize=4)
def _read(path: Path, strings: frozenset[str], size: int, changed: int) -> Table:
    import pyarrow as pa

    del size, changed
    try:
        return table_of(path.name, _arrow(path, strings))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not written in UTF-8. Convert it: iconv -f latin1 -t utf-8.") from error
    except (pa.ArrowException, OSError) as error:
        # What the system says names the file itself.
        if isinstance(error, OSError) and error.filename:
            raise
        raise ValueError(f"{path} cannot be read as a table: {error}") from error


def _arrow(path: Path, strings: Collection[str] = (), *, gaps: bool = True) -> Any:
    """`gaps`: whether the words for a gap are one in strings too."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv as text_tables

    if path.suffix == ".parquet":
        table = pq.read_table(path)
        for name in strings:
            words = as_strings(_values(path.name, name, table[name])).tolist()
            table = table.set_column(table.column_names.index(name), name, pa.array(words, pa.string()))
        return table
    return text_tables.read_csv(
        path,
        parse_options=text_tables.ParseOptions(delimiter=_delimiter(path), newlines_in_values=True),
        convert_options=text_tables.ConvertOptions(
            null_values=_GAPS, strings_can_be_null=gaps, column_types=dict.fromkeys(strings, pa.string())
        ),
    )


def _delimiter(path: Path) -> str:
    """A tab where the ending says so, else the one that the header holds most of outside of quotes."""
    if path.suffix == ".tsv":
        return "\t"
    with path.open(encoding="utf-8", errors="replace") as file:
        header = re.sub('"[^"]*"', "", file.readline())
    return max(",;\t|", key=header.count)


def table_of(name: str, table: Any) -> Table:
    """An arrow table as raw values. ValueError for an empty one, for names that repeat, and for other types."""
    names = table.column_names
    if not table.num_rows or not names:
        raise ValueError(f"{name} holds no rows. Its first line is taken for the names of the columns.")
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise ValueError(f"{name} has several columns of the name {', '.join(twice)}: give each its own.")
    if all(_is_number(column) for column in names):
        warnings.warn(
            f"{name} begins with numbers, {', '.join(names[:3])} …, which are taken for the names of its columns. Put "
            "a line of names on top.",
            stacklevel=2,
        )
    return Table({column: _values(name, column, table[column]) for column in names})


def write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of equal length as the ending of the path says, `.csv` or `.parquet`; None is a gap."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv as text_tables

    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    with replacing(path) as partial:
        if path.suffix == ".parquet":
            pq.write_table(table, partial)
        else:
            text_tables.write_csv(table, partial)


def write_texts(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of texts and integers as a `.csv`, with quotes where they are needed."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _values(name: str, column: str, array: Any) -> np.ndarray:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return np.array(array.to_pylist(), object)
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    if pa.types.is_temporal(kind):
        # A day is a number, that of seconds since 1970; a time of day and a span are seconds too.
        parts = {pa.types.is_time: pa.time64("us"), pa.types.is_duration: pa.duration("us")}
        fine = next((kinds for has, kinds in parts.items() if has(kind)), pa.timestamp("us"))
        plain = array.cast(fine, safe=False).cast(pa.int64()).cast(pa.float64())
        return np.asarray(plain.to_numpy(), np.float64) / 1e6
    if pa.types.is_binary(kind):
        raise ValueError(f"{name}: the column {column} is not written in UTF-8. Convert it: iconv -f latin1 -t utf-8.")
    raise ValueError(
        f"{name}: the column {column} holds values of the type {kind}, but a column must hold numbers, strings or "
        "dates. Leave it out of the file."
    )
