"""Find a system by name or by path, and check that a config can be run before any data are loaded."""

import dataclasses
import difflib
import importlib
import typing
from pathlib import Path

from vae_jax.config.fields import Experiment
from vae_jax.config.rules import check_effects, check_ranges, check_rules, check_types, flag
from vae_jax.core.checks import is_known
from vae_jax.core.errors import ConfigError
from vae_jax.core.modules import load_from
from vae_jax.data import Dataset, is_strings
from vae_jax.data.labels import labelled_rows
from vae_jax.systems.parts.requirements import EVERY_SYSTEM
from vae_jax.systems.system import Spec, System

# The sections whose fields a system reads only where its `reads` names them.
OPTIONAL_SECTIONS = ("objective", "codes", "labels", "quantisation", "stages", "strings", "compute")
# The system of a run whose model was made in Python.
IN_PYTHON = "python"
# The labels of the linear probe, which every system has, and where and in what the program of any system is computed.
READ_BY_ALL = ("labels.labelled", "labels.label_seed", "compute.mesh", "compute.precision", "compute.stream")


def system_names() -> list[str]:
    """The names of the published models, sorted."""
    parts = ("__init__", "registry", "system")
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in parts)


def is_made(name: str) -> bool:
    """Whether a system was made in Python, there or by a function of a file: a config says nothing of its model."""
    return name == IN_PYTHON or ".py:" in name


def spec_of(name: str) -> Spec:
    """The spec of a published model by name, or of your own file by path. ConfigError where there is none."""
    if name.endswith(".py"):
        return load_from(Path(name), "SPEC", Spec)
    if ".py:" in name:
        path, _, function = name.rpartition(":")
        return Spec(lambda config, dataset: load_from(Path(path), f"{function}()", System), reads=OPTIONAL_SECTIONS)
    if name == IN_PYTHON:
        raise ConfigError(
            "the model of this run was made in Python, so the command line cannot open it: vj.open_run(RUN, model, "
            "data, params=params) does, and vj.fit(…, build='my_model.py:build') makes runs that it can open."
        )
    if name not in system_names():
        close = difflib.get_close_matches(name, system_names(), n=2)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(
            f"no system {name!r}.{hint} There are {', '.join(system_names())}; or give the path of your own file, "
            "ending in .py, with a SPEC."
        )
    return importlib.import_module(f"vae_jax.systems.{name}").SPEC


def validate(config: Experiment) -> Experiment:
    """The config itself, if it can be run; else a ConfigError that names the field. It loads no data."""
    check_types(config)
    check_ranges(config)
    check_rules(config)
    spec = spec_of(config.system)
    _check_read(config, spec)
    for requirement in (*EVERY_SYSTEM, *spec.requires):
        if reason := requirement(config):
            raise ConfigError(f"{reason}.")
    return config


def validate_new(config: Experiment) -> Experiment:
    """The same of a run that is to be made: a ConfigError also where it hardly is what was meant."""
    check_effects(validate(config))
    for doubt in spec_of(config.system).doubts:
        if reason := doubt(config):
            raise ConfigError(f"{reason}.")
    return config


def _check_read(config: Experiment, spec: Spec) -> None:
    """ConfigError for a field that is set but that the system does not read, and for strings with another system."""
    if is_strings(config.data.dataset) and not any(field.split(".")[0] == "strings" for field in spec.reads):
        raise ConfigError(f"{config.data.dataset} holds strings, which are for --system strings, not {config.system}.")
    for section, names in unread(spec).items():
        values = getattr(config, section)
        default = type(values)()
        for name in names:
            value = getattr(values, name)
            if value != getattr(default, name):
                readers = [system for system in system_names() if name not in unread(spec_of(system))[section]]
                tip = f" Or add {section}.{name} to what its SPEC reads." if config.system.endswith(".py") else ""
                raise ConfigError(
                    f"{flag(name)} {value} has no effect with --system {config.system}: it is for --system "
                    f"{' or '.join(readers)}.{tip}"
                )


def unread(spec: Spec) -> dict[str, list[str]]:
    """The fields of each optional section that a system does not read."""
    read = (*spec.reads, *READ_BY_ALL)
    kinds = {name: part for name, part in typing.get_type_hints(Experiment).items() if name in OPTIONAL_SECTIONS}
    return {
        section: []
        if section in read
        else [f.name for f in dataclasses.fields(kind) if f"{section}.{f.name}" not in read]
        for section, kind in kinds.items()
    }


def build_system(config: Experiment, dataset: Dataset) -> System:
    """The system that a config names. ConfigError or ValueError where the data do not fit the model."""
    spec = spec_of(config.system)
    labels = config.labels
    if labels.labelled is not None and is_known(labels.labelled) and is_known(labels.label_seed):
        # Refuses more labels than there are of a class: every evaluation needs them.
        labelled_rows(dataset.train.label, labels.labelled, labels.label_seed)
    system = spec.build(config, dataset)
    check_patience(config.train.patience, dataset, system)
    return system


def check_patience(patience: int | None, dataset: Dataset, system: System) -> None:
    """ConfigError where a run would wait for what cannot come: a better validation loss."""
    if patience is None:
        return
    if len(dataset.validation.x) == 0:
        raise ConfigError(f"--patience {patience} waits for a better validation loss, but --validation-size is 0.")
    if not system.comparable:
        raise ConfigError(
            f"--patience {patience} waits for a better validation loss, but here two epochs cannot be compared by it, "
            "since a critic or a multiplier moves against the model. Use --patience None."
        )
