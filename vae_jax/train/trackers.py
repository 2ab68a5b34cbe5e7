"""What a run writes elsewhere too: TensorBoard, Weights & Biases, MLflow. `metrics.jsonl` is always written.

A tracker that fails warns once, and is left out from then on: it never stops a training.
"""

import dataclasses
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from vae_jax.config.fields import Experiment
from vae_jax.core.files import write_json
from vae_jax.core.text import read_text
from vae_jax.train.files import TRACKERS


class Tracker(NamedTuple):
    """`log(step, numbers)`, `picture(step, name, path)` and `close()`."""

    log: Callable[[int, Mapping[str, float]], Any]
    picture: Callable[[int, str, Path], Any]
    close: Callable[[], Any]


# `(directory, config, identity) -> (tracker, identity)`: the identity finds the same run again when it goes on.
Open = Callable[[Path, dict[str, Any], str | None], tuple[Tracker, str]]


def _tensorboard(directory: Path, config: dict[str, Any], identity: str | None) -> tuple[Tracker, str]:
    from tensorboardX import SummaryWriter

    folder = directory / "tensorboard"
    writer = SummaryWriter(str(folder))
    if identity is None:
        writer.add_text("config", f"```\n{json.dumps(config, indent=2)}\n```")

    def log(step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def picture(step: int, name: str, path: Path) -> None:
        import numpy as np
        from PIL import Image

        writer.add_image(name, np.asarray(Image.open(path).convert("RGB")), step, dataformats="HWC")

    return Tracker(log, picture, writer.close), str(folder.name)


def _wandb(directory: Path, config: dict[str, Any], identity: str | None) -> tuple[Tracker, str]:
    import wandb  # pyright: ignore[reportMissingImports]

    options: dict[str, Any] = {"id": identity, "resume": "allow"} if identity else {}
    run: Any = wandb.init(project="vae_jax", name=directory.name, config=config, dir=str(directory), **options)

    def picture(step: int, name: str, path: Path) -> None:
        run.log({name: wandb.Image(str(path))}, step=step)

    return Tracker(lambda step, numbers: run.log(dict(numbers), step=step), picture, run.finish), run.id


def _mlflow(directory: Path, config: dict[str, Any], identity: str | None) -> tuple[Tracker, str]:
    import mlflow  # pyright: ignore[reportMissingImports]

    client: Any = mlflow.MlflowClient()
    if identity is None:
        found = client.get_experiment_by_name("vae_jax")
        experiment = found.experiment_id if found else client.create_experiment("vae_jax")
        identity = client.create_run(experiment, run_name=directory.name).info.run_id
        client.log_dict(identity, config, "config.json")

    def log(step: int, numbers: Mapping[str, float]) -> None:
        for name, value in numbers.items():
            client.log_metric(identity, name, value, step=step)

    def picture(step: int, name: str, path: Path) -> None:
        client.log_artifact(identity, str(path), "pictures")

    return Tracker(log, picture, lambda: client.set_terminated(identity)), str(identity)


OPEN: dict[str, Open] = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}


@contextmanager
def tracked(config: Experiment, directory: Path) -> Iterator[Tracker]:
    """The trackers that a config names, as one, closed at the end."""
    opened: dict[str, Tracker] = {}
    identities = _identities(directory)
    for name in config.train.track:
        with _guarded(name, opened):
            opened[name], identities[name] = OPEN[name](directory, dataclasses.asdict(config), identities.get(name))
    if opened:
        write_json(directory / TRACKERS, identities)

    def each(call: Callable[[Tracker], Any]) -> None:
        for name, tracker in list(opened.items()):
            with _guarded(name, opened):
                call(tracker)

    try:
        yield Tracker(
            lambda step, numbers: each(lambda tracker: tracker.log(step, numbers)),
            lambda step, name, path: each(lambda tracker: tracker.picture(step, name, path)),
            lambda: None,
        )
    finally:
        each(lambda tracker: tracker.close())


@contextmanager
def _guarded(name: str, opened: dict[str, Tracker]) -> Iterator[None]:
    """Warn of whatever goes wrong in a tracker, and leave it out."""
    try:
        yield
    except Exception as error:
        opened.pop(name, None)
        install = f" Install it: pip install 'vae-jax[{name}]'." if isinstance(error, ImportError) else ""
        warnings.warn(
            f"--track {name} is left out from here on: {type(error).__name__}: {error}.{install}", stacklevel=4
        )


def _identities(directory: Path) -> dict[str, str]:
    path = directory / TRACKERS
    return json.loads(read_text(path)) if path.is_file() else {}


def flat(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl by name, `train_loss`; of a sweep, of every member, `train_loss/3`."""
    numbers: dict[str, Any] = {name: line[name] for name in ("epoch", "learning_rate") if line.get(name) is not None}
    for part in ("train", "validation"):
        numbers |= {f"{part}_{name}": value for name, value in line.get(part, {}).items()}
    members = {name: value for name, value in numbers.items() if isinstance(value, Sequence)}
    alone = {name: value for name, value in numbers.items() if name not in members}
    return alone | {f"{name}/{i}": number for name, values in members.items() for i, number in enumerate(values)}


def measured_numbers(result: Mapping[str, Any]) -> dict[str, float]:
    """The real numbers of an evaluation by name, `test_log_marginal`."""
    return {f"test_{name}": value for name, value in result.items() if isinstance(value, float)}
