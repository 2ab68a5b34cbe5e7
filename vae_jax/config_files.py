"""Where experiments come from and are kept: files of `configs/`, your own Python files, and JSON in a run."""

import dataclasses
import difflib
import importlib.util
import json
import traceback
import typing
from pathlib import Path
from typing import Any

from vae_jax.config import ConfigError, Experiment


def config_folder() -> Path:
    """Where the shipped configs lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def config_names() -> list[str]:
    """Names of the shipped configs, sorted."""
    return sorted(path.stem for path in config_folder().glob("*.py"))


def load_config(name: str) -> Experiment:
    """The experiment of a name in `configs/`, or of the path of a Python file with `get_config()`."""
    path = Path(name) if name.endswith(".py") else config_folder() / f"{name}.py"
    if not path.is_file():
        close = difflib.get_close_matches(name, config_names(), n=3)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(
            f"no config {name!r}.{hint} There are {', '.join(config_names())}; or give a path ending in .py."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be loaded as Python.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1].lineno if error.__traceback__ else None
        where = f"line {error.lineno if isinstance(error, SyntaxError) else line}"
        raise ConfigError(f"{path}, {where}: {type(error).__name__}: {error}") from error
    if not hasattr(module, "get_config"):
        raise ConfigError(f"{path} defines no get_config().")
    config = module.get_config()
    if not isinstance(config, Experiment):
        raise ConfigError(f"get_config() of {path} must return an Experiment, got {type(config).__name__}.")
    return config


def to_json(config: Experiment) -> str:
    """The resolved config, every field written out."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def from_json(text: str) -> Experiment:
    """The inverse of `to_json`. ConfigError if a field is unknown to this version."""
    return _build(Experiment, json.loads(text))


def _build(cls: Any, values: dict[str, Any]) -> Any:
    types = typing.get_type_hints(cls)
    if unknown := sorted(set(values) - set(types)):
        raise ConfigError(f"the saved config has the fields {unknown}, which this version's {cls.__name__} lacks.")

    def convert(kind: Any, value: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return _build(kind, value)
        return tuple(value) if isinstance(value, list) else value

    return cls(**{name: convert(types[name], value) for name, value in values.items()})
