"""The files of a run or a sweep: their names, and how they are read and written."""

import difflib
import json
import os
from pathlib import Path
from typing import Any

from vae_jax.config.fields import Experiment
from vae_jax.config.files import from_json, to_json
from vae_jax.core.errors import ConfigError, DamagedError, RequestError
from vae_jax.core.files import write_json, write_whole
from vae_jax.core.seal import unsealed
from vae_jax.core.text import read_text
from vae_jax.systems.registry import IN_PYTHON

# The dataset of a config whose data were given as arrays.
ARRAYS = "arrays"

CONFIG = "config.json"
DATA = "data.npz"
INITIAL = "initial.npz"
MADE = "made.json"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
SNAPSHOTS = "snapshots"
PICTURES = "pictures"
REPORT = "report.html"
SAMPLES = "samples.npz"
VARIATIONS = "variations.npz"
CODES = "codes.npz"
EXPORT = "export"
TRACKERS = "trackers.json"
IMPUTED = "imputed.csv"
ANOMALIES = "anomalies.csv"
SEARCH = "search.json"
NONFINITE = "nonfinite.json"
SKIPS = "skipped.json"
# Held by the process that writes a run, and who that is.
LOCK = ".lock"
WRITER = ".writer.json"
# Of a sweep alone: its grid, and the folder of its members, each a run.
SWEEP = "sweep.json"
MEMBERS = "members"


def check_writable(directory: Path) -> None:
    """RequestError where nothing can be written into a run, as into one of somebody else."""
    if not os.access(directory, os.W_OK):
        raise RequestError(
            f"{directory} cannot be written into, where this command leaves its results. Copy it, and name the copy: "
            f"cp -r {directory} COPY"
        )


def read_config(directory: Path) -> Experiment:
    """The config of a run or a sweep. ConfigError where there is none, or it is damaged."""
    file = directory / CONFIG
    if directory.is_file():
        raise ConfigError(f"{directory} is a file, and the directory of a run is named first: vae-jax COMMAND RUN …")
    if not file.is_file():
        beside = [path.parent.name for path in directory.parent.glob(f"*/{CONFIG}")]
        close = difflib.get_close_matches(directory.name, beside, n=2)
        hint = " or ".join(str(directory.parent / name) for name in close)
        advice = f"Did you mean {hint}?" if close else f"Start one with: vae-jax train CONFIG --out {directory}"
        raise ConfigError(f"{directory} holds no run (no {CONFIG}). {advice}")
    try:
        return from_json(read_text(file))
    except ConfigError as error:
        raise type(error)(f"{file}: {error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise DamagedError(f"{file} is not the config of a run ({error}). Put it back, or start a new run.") from error


def is_of_a_command(config: Experiment) -> bool:
    """Whether a command can make the run of a config again: neither its model nor its data were made in Python."""
    return config.system != IN_PYTHON and config.data.dataset != ARRAYS


def going_on(directory: Path) -> str:
    """What goes on with a run, in words for the user: a command, or the call that it was made by."""
    if (directory / CONFIG).is_file() and not is_of_a_command(read_config(directory)):
        return "vj.fit with the same arguments"
    return f"vae-jax resume {directory}"


def is_sweep(directory: Path) -> bool:
    """Whether a directory holds a sweep, whose members are runs."""
    return (directory / SWEEP).is_file()


def check_run(directory: Path) -> None:
    """RequestError where a directory holds a sweep in the place of a run."""
    if is_sweep(directory):
        raise RequestError(f"{directory} is a sweep of several runs: name one of them, in {directory / MEMBERS}.")


def write_config(directory: Path, config: Experiment) -> None:
    """Write the config with every field."""
    write_whole(directory / CONFIG, to_json(config))


def evaluation_file(directory: Path, epoch: int | None = None, ending: str = ".json") -> Path:
    """The file with the measurements of a run, or of its snapshot after `epoch`."""
    return directory / (f"evaluation{ending}" if epoch is None else f"evaluation-epoch-{epoch}{ending}")


def read_evaluation(directory: Path, epoch: int | None = None) -> dict[str, Any]:
    """The measurements of a run, or of its snapshot after `epoch`; {} where there are none."""
    path = evaluation_file(directory, epoch)
    advice = f"Delete it, and measure again: vae-jax evaluate {directory}"
    return read_json(path, advice) if path.is_file() else {}


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, one for each epoch; a last line that was cut off is left out."""
    path = directory / METRICS
    if not path.is_file():
        return []
    lines = read_text(path).split("\n")[:-1]
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError as error:
        raise DamagedError(f"{path} is damaged ({error}). Put it back, or delete that line.") from error


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The object in a .json file of a run. DamagedError with the advice where it is not one, or not what was saved."""
    try:
        return unsealed(dict(json.loads(read_text(path))), str(path))
    except DamagedError:
        raise
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{path} is damaged ({error}). {advice}") from error


def write_metrics(directory: Path, lines: list[dict[str, Any]]) -> None:
    """Write the whole of metrics.jsonl."""
    write_whole(directory / METRICS, "".join(json.dumps(line) + "\n" for line in lines))


def read_skips(directory: Path) -> list[int]:
    """The steps that were left out, rising, since they were not finite."""
    path = directory / SKIPS
    return read_json(path, "Delete it.")["steps"] if path.is_file() else []


def write_skips(directory: Path, steps: list[int]) -> None:
    """Write the steps that were left out; no file where there are none."""
    if steps:
        write_json(directory / SKIPS, {"steps": steps})
    else:
        (directory / SKIPS).unlink(missing_ok=True)


def add_metrics(directory: Path, line: dict[str, Any]) -> None:
    """Add one line to metrics.jsonl."""
    with (directory / METRICS).open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line) + "\n")
