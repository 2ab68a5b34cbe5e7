"""Files that are written whole or not at all, even where two processes write the same one."""

import json
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vae_jax.core.errors import RequestError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path, in a folder that is made. It replaces `path` after the block, or is deleted if that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # No one else has a file of this name, in another process, on another machine or in another thread.
    partial = path.with_name(f".{path.stem}-{os.getpid()}-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_ending(path: Path, *endings: str) -> Path:
    """The path. RequestError where it has none of these endings, and so names a file of another kind."""
    if path.suffix not in endings:
        *others, last = endings
        known = f"{', '.join(others)} or {last}" if others else last
        raise RequestError(f"--out must end in {known}, got {path}.")
    return path


def write_whole(path: Path, text: str) -> None:
    """Write a file of text, as UTF-8, with the same line ends on every system."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write a .json file. JSON has no infinity and no NaN: a number that is not finite is written as null."""
    write_whole(path, json.dumps(_known(content), indent=2, allow_nan=False) + "\n")


def _known(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _known(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_known(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
