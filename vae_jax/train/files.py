"""The files of a run or a sweep: their names, and how they are read and written."""

import json
from pathlib import Path
from typing import Any

from vae_jax.config.fields import Experiment
from vae_jax.config.files import from_json, to_json
from vae_jax.core.errors import ConfigError
from vae_jax.core.files import write_whole
from vae_jax.core.text import read_text

CONFIG = "config.json"
DATA = "data.npz"
METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
SNAPSHOTS = "snapshots"
PICTURES = "pictures"
SAMPLES = "samples.npz"
CODES = "codes.npz"
EXPORT = "export"
TRACKERS = "trackers.json"
IMPUTED = "imputed.csv"
ANOMALIES = "anomalies.csv"
SEARCH = "search.json"
# Of a sweep alone: its grid, and the folder of its members, each a run.
SWEEP = "sweep.json"
MEMBERS = "members"


def read_config(directory: Path) -> Experiment:
    """The config of a run or a sweep. ConfigError where there is none, or it is damaged."""
    file = directory / CONFIG
    if not file.is_file():
        raise ConfigError(
            f"{directory} holds no run (no {CONFIG}). Start one with: vae-jax train CONFIG --out {directory}"
        )
    try:
        return from_json(read_text(file))
    except (json.JSONDecodeError, TypeError) as error:
        raise ConfigError(f"{file} is not the config of a run ({error}). Restore it, or start a new run.") from error


def write_config(directory: Path, config: Experiment) -> None:
    """Write the config with every field."""
    write_whole(directory / CONFIG, to_json(config))


def evaluation_file(directory: Path, epoch: int | None = None, ending: str = ".json") -> Path:
    """The file with the measurements of a run, or of its snapshot after `epoch`."""
    return directory / (f"evaluation{ending}" if epoch is None else f"evaluation-epoch-{epoch}{ending}")


def read_metrics(directory: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl, one for each epoch; a last line that was cut off is left out."""
    path = directory / METRICS
    if not path.is_file():
        return []
    return [json.loads(line) for line in read_text(path).split("\n")[:-1]]


def write_metrics(directory: Path, lines: list[dict[str, Any]]) -> None:
    """Write the whole of metrics.jsonl."""
    write_whole(directory / METRICS, "".join(json.dumps(line) + "\n" for line in lines))


def add_metrics(directory: Path, line: dict[str, Any]) -> None:
    """Add one line to metrics.jsonl."""
    with (directory / METRICS).open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(line) + "\n")
