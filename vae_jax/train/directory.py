"""The directory of a new run: whether it is free, and the files that make it one.

A directory holds a run once it has a config, which is written last.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.core.files import write_json
from vae_jax.core.types import Params
from vae_jax.data import Dataset
from vae_jax.data.dataset import check_spread
from vae_jax.train.files import (
    CHECKPOINTS,
    CONFIG,
    DATA,
    INITIAL,
    MADE,
    METRICS,
    NONFINITE,
    SKIPS,
    SNAPSHOTS,
    SWEEP,
    TRACKERS,
    WRITER,
    read_metrics,
    write_config,
)
from vae_jax.train.initial import write_initial
from vae_jax.train.lock import writing
from vae_jax.train.outline import outline_of, write_outline


@contextmanager
def directory_of_its_own(base: Path) -> Iterator[Path]:
    """A new directory for a run that is made meanwhile: `base`, with a number where there is something.

    It is taken at once, before another process can. Where nothing is made it is gone again.
    """
    folder_was_there = base.parent.exists()
    base.parent.mkdir(parents=True, exist_ok=True)
    path, number = base, 1
    while not _is_new(path):
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    try:
        yield path
    except BaseException:
        with suppress(OSError):
            path.rmdir()
            if not folder_was_there:
                base.parent.rmdir()
        raise


def _is_new(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def write_start(
    directory: Path,
    config: Experiment,
    dataset: Dataset,
    files: Mapping[str, Any] | None = None,
    *,
    initial: Params | None = None,
) -> None:
    """Make the directory of a new run: its config, what is kept of its data, other .json `files` by name, parameters.

    ConfigError where there is one already, ValueError for a test split of one example.
    """
    check_spread(dataset)
    check_directory(directory)
    with writing(directory):
        # Another process may have been faster.
        check_directory(directory)
        _discard(directory)
        write_outline(directory, outline_of(dataset))
        for name, content in (files or {}).items():
            write_json(directory / name, content)
        if initial is not None:
            write_initial(directory, initial)
        # Last: it says that here is a run.
        write_config(directory, config)


def check_directory(directory: Path) -> None:
    """ConfigError where a new run cannot have this directory."""
    if came_to_nothing(directory):
        return
    if (directory / CONFIG).exists():
        raise ConfigError(
            f"{directory} already holds a run. Continue it with: vae-jax resume {directory}; or name another with "
            "--out."
        )
    # Orbax takes these for patterns, or for the sign between folders, and saves checkpoints that it cannot find again.
    characters = [*"[]*?", *("\\" if os.sep == "/" else "")]
    if any(character in str(directory.absolute()) for character in characters):
        raise ConfigError(
            f"the path of a run must not hold any of {' '.join(characters)}, got {directory}. Name another with --out."
        )
    if re.match("[a-z][a-z0-9]+:/", str(directory)):
        raise ConfigError(f"a run lies in a folder of this machine, got {directory}. Name one with --out.")
    if directory.exists() and (not directory.is_dir() or _files_of_others(directory)):
        raise ConfigError(f"{directory} is not an empty directory. Name another with --out.")


def came_to_nothing(directory: Path) -> bool:
    """Whether a run stopped soon, since a step was not finite: its directory is free for another try."""
    if not (directory / NONFINITE).is_file() or read_metrics(directory):
        return False
    # The state before that step is saved. Where another was saved before it, much was trained.
    folder = directory / CHECKPOINTS
    return not folder.is_dir() or sum(path.name.isdigit() for path in folder.iterdir()) < 2


def _files_of_others(directory: Path) -> set[str]:
    """What lies in a directory, without hidden files, and what a run wrote that was killed before it had a config."""
    names = {path.name for path in directory.iterdir()}
    # Who ends by itself takes its name away.
    begun = {DATA, INITIAL, MADE, SWEEP} if WRITER in names else set()
    return {name for name in names - begun if not name.startswith(".")}


def _discard(directory: Path) -> None:
    for name in (CONFIG, DATA, INITIAL, MADE, METRICS, NONFINITE, SKIPS, SWEEP, TRACKERS):
        (directory / name).unlink(missing_ok=True)
    for name in (CHECKPOINTS, SNAPSHOTS):
        shutil.rmtree(directory / name, ignore_errors=True)
