"""Where experiments come from and are kept: files of `configs/`, your own Python files, and JSON in a run."""

import dataclasses
import difflib
import json
import typing
from pathlib import Path
from typing import Any

from vae_jax.config.fields import Experiment
from vae_jax.config.rules import check_types
from vae_jax.core.errors import ConfigError
from vae_jax.core.modules import load_from
from vae_jax.core.seal import sealed, unsealed


def config_folder() -> Path:
    """Where the shipped configs lie: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
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
        if Path(name).exists():
            of = "images" if Path(name).is_dir() or Path(name).suffix in (".npz", ".npy") else "table"
            hint = f" Data are named by --dataset: vae-jax train {of} --dataset {name}."
        raise ConfigError(
            f"no config {name!r}.{hint} There are {', '.join(config_names())}; or give a path ending in .py."
        )
    config = load_from(path, "get_config()", Experiment)
    check_types(config)
    return with_absolute_paths(config, path.parent)


def absolute_path(name: str, folder: Path) -> str:
    """A Python file, or one with a function, `my_model.py:build`, with its whole path; another name as it is.

    The file is sought in `folder` and then here.
    """
    path, separator, function = name.partition(".py:")
    if not name.endswith(".py") and not separator:
        return name
    found = _sought(path + ".py" if separator else name, folder)
    return f"{found}:{function}" if separator else str(found)


def with_absolute_paths(config: Experiment, folder: Path) -> Experiment:
    """The same with the Python files and the run that it names as absolute paths, sought in `folder` and then here.

    A run may be looked at from another folder than the one that it was started in.
    """
    measurements = tuple(absolute_path(name, folder) for name in config.evaluate.measurements)
    evaluate = dataclasses.replace(config.evaluate, measurements=measurements)
    train, start = config.train, config.train.start_from
    if start is not None:
        train = dataclasses.replace(train, start_from=str(_sought(start, folder)))
    return dataclasses.replace(config, system=absolute_path(config.system, folder), train=train, evaluate=evaluate)


def _sought(name: str, folder: Path) -> Path:
    """The whole path of a file or folder that lies in `folder`, or else here."""
    beside = folder / Path(name).expanduser()
    return (beside if beside.exists() else Path(name).expanduser()).absolute()


# A saved config says how it is to be read. Those of version 0.1.0 do not: theirs is format 1, where the grammar that is
# now called "smiles_zinc" had another name. Since format 3 there is a checksum.
_FORMAT = 3
GRAMMAR_OF_FORMAT_1 = {"smiles_zinc": "smiles"}


def to_json(config: Experiment) -> str:
    """The resolved config, every field written out, the format that they are written in, and their checksum."""
    return json.dumps(sealed({"format": _FORMAT} | dataclasses.asdict(config)), indent=2) + "\n"


def from_json(text: str) -> Experiment:
    """The inverse of `to_json`, also of earlier versions. ConfigError where it is not what was saved, or is newer."""
    values = dict(json.loads(text))
    written_in = values.get("format", 1)
    if written_in not in range(1, _FORMAT + 1):
        raise ConfigError(
            f"the saved config is of format {written_in}, but this version reads 1 to {_FORMAT}: a newer vae_jax wrote "
            "it. Install that one."
        )
    values = unsealed(values, "the saved config")
    values.pop("format", None)
    config = _build(Experiment, values)
    return config if written_in > 1 else _with_new_names(config)


def _with_new_names(config: Experiment) -> Experiment:
    new_name = {old: new for new, old in GRAMMAR_OF_FORMAT_1.items()}
    grammar = new_name.get(config.strings.grammar, config.strings.grammar)
    return dataclasses.replace(config, strings=dataclasses.replace(config.strings, grammar=grammar))


def _build(cls: Any, values: dict[str, Any]) -> Any:
    types = typing.get_type_hints(cls)
    if unknown := sorted(set(values) - set(types)):
        raise ConfigError(
            f"the saved config has the fields {unknown}, which this version's {cls.__name__} lacks: a newer vae_jax "
            "wrote it. Install that one."
        )

    def convert(kind: Any, value: Any) -> Any:
        if dataclasses.is_dataclass(kind):
            return _build(kind, value)
        return tuple(value) if isinstance(value, list) else value

    return cls(**{name: convert(types[name], value) for name, value in values.items()})
