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
    runs once, and again only when it or one of these has changed.
    """
    if not path.is_file():
        raise ConfigError(f"there is no Python file {path}, which is to define {name}.")
    path = path.absolute()
    # An editor leaves links to nowhere beside a file that it has open.
    files = [beside for beside in path.parent.glob("*.py") if beside.is_file()]
    module = _run(path, tuple(sorted((beside.name, beside.stat().st_mtime_ns) for beside in files)))
    attribute = name.removesuffix("()")
    if not hasattr(module, attribute):
        raise ConfigError(f"{path} defines no {name}.")
    value = getattr(module, attribute)
    value = value() if attribute != name else value
    if not isinstance(value, kind):
        raise ConfigError(f"{name} of {path} must be of the type {kind.__name__}, got {type(value).__name__}.")
    return value


@functools.cache
def _run(path: Path, changed: tuple[tuple[str, int], ...]) -> ModuleType:
    # Two files of one name, in different folders, are two modules.
    name = f"{_PREFIX}{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python.")
    again, module = name in sys.modules, importlib.util.module_from_spec(spec)
    # A file beside it may be known as it was before, or have the name of one in another folder, which keeps the name.
    known = _known_as({name.removesuffix(".py") for name, _ in changed})
    others = {name: one for name, one in known.items() if Path(one.__file__).parent != path.parent}
    for name in known if again else others:
        del sys.modules[name]
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
        sys.modules.update(others)
    return module


def _known_as(names: set[str]) -> dict[str, Any]:
    """The modules of these names that came from files outside of the installation."""
    found = {name: sys.modules[name] for name in names & sys.modules.keys()}
    files = {name: Path(getattr(module, "__file__", None) or sys.prefix) for name, module in found.items()}
    installed = (sys.prefix, sys.base_prefix)
    return {name: found[name] for name, file in files.items() if not any(map(file.is_relative_to, installed))}


def users_line(error: BaseException) -> str | None:
    """`my_system.py, line 12`: the innermost line of the user's files in the traceback; None where there is none."""
    lines = [
        f"{frame.f_code.co_filename}, line {number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__", "").startswith(_PREFIX)
    ]
    return lines[-1] if lines else None
