"""Text from any system: UTF-8, with or without a byte-order mark, in lines that end at "\\n" or "\\r\\n" alone."""

import codecs
import gzip
import re
import zlib
from pathlib import Path

# UTF-32 first: its mark begins with that of UTF-16.
_OTHER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def read_text(path: Path) -> str:
    """The text of a file, unpacked where its name ends in `.gz`.

    ValueError, with the line and the byte, where it is not UTF-8 or holds a zero byte, and where it cannot be unpacked.
    """
    data = _unpacked(path) if path.suffix == ".gz" else path.read_bytes()
    for mark, name in _OTHER_MARKS.items():
        if data.startswith(mark):
            raise ValueError(f"{path} is text in {name}, by its first bytes {mark.hex(' ')}. Save it as UTF-8.")
    if (zero := data.find(0)) >= 0:
        raise ValueError(
            f"{path}, line {_line(data, zero)}, byte {zero + 1} of the text is 0, which text in UTF-16 or UTF-32 has "
            "and text in UTF-8 has not. Save the file as UTF-8."
        )
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        where = f"{path}, line {_line(data, error.start)}, byte {error.start + 1} of the text"
        raise ValueError(f"{where}: {data[error.start]:#04x} is not UTF-8. Save the file as UTF-8.") from error


def read_lines(path: Path) -> list[str]:
    """The lines of `read_text`, without their ends. Other characters that end a line elsewhere are part of it.

    `str.splitlines` would also cut at a lone "\\r", a form feed, "\\x1c", U+0085 and U+2028.
    """
    lines = re.split("\r?\n", read_text(path))
    return lines[:-1] if lines[-1] == "" else lines


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is no whole gzip file: {error}.") from error


def _line(data: bytes, start: int) -> int:
    return data.count(b"\n", 0, start) + 1
