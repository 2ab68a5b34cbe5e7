"""Load the user's own Python files by path: configs, systems and measurements."""

import functools
import importlib.util
import sys
import traceback
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

from vae_jax.core.errors import ConfigError

# What marks a module as the user's, so that an error inside it is shown with its line.
_PREFIX = "vae_jax_user_"


def load_from(path: Path, name: str, kind: type) -> Any:
    """The object `name` of the Python file at `path`, or, where `name` ends in "()", what it returns; of type `kind`.

    ConfigError where the file fails (with the line) or has no such object. The file may import others beside it. It
    runs once, and again only when it has changed.
    """
    if not path.is_file():
        raise ConfigError(f"there is no Python file {path}, which is to define {name}.")
    module = _run(path.absolute(), path.stat().st_mtime_ns)
    attribute = name.removesuffix("()")
    if not hasattr(module, attribute):
        raise ConfigError(f"{path} defines no {name}.")
    value = getattr(module, attribute)
    value = value() if attribute != name else value
    if not isinstance(value, kind):
        raise ConfigError(f"{name} of {path} must be of the type {kind.__name__}, got {type(value).__name__}.")
    return value


@functools.cache
def _run(path: Path, changed: int) -> ModuleType:
    del changed
    # Two files of one name, in different folders, are two modules.
    name = f"{_PREFIX}{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles look their module up by its name.
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        where = f"{path}, line {error.lineno}" if isinstance(error, SyntaxError) else users_line(error) or str(path)
        raise ConfigError(f"{where}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module


def users_line(error: BaseException) -> str | None:
    """`my_system.py, line 12`: the innermost line of the user's files in the traceback; None where there is none."""
    lines = [
        f"{frame.f_code.co_filename}, line {number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(_PREFIX)
    ]
    return lines[-1] if lines else None
