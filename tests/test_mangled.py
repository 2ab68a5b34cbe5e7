"""Files, run directories and command lines that are mangled at random: the package says what is wrong, or goes on.

Some 120 cases run with the suite; `pytest -m slow tests/test_mangled.py` tries 3,600. Each is drawn from a seed of its
own, so that a failure names it.
"""

import dataclasses
import json
import random
import re
import shutil
import traceback
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image
from rich.console import Console

import vae_jax.train.loop
from tests.runs import console, experiment, trained
from tests.test_fuzz import OddError
from vae_jax.commands.parse import opened
from vae_jax.commands.train import sweep_command, train_command
from vae_jax.config.fields import sections
from vae_jax.config.files import config_folder, config_names, load_config
from vae_jax.core.modules import users_line
from vae_jax.data import Reading, load
from vae_jax.train.files import read_evaluation, read_metrics
from vae_jax.train.run import load_state, open_run

NUMBERS = ["0", "-1", "1", "3", "1e9", "nan", "inf", "1.5", "9" * 30]
VALUES = [*NUMBERS, "", "a", "True", "None", "é", "a b", "[1]", "digits"]
JUNK = [b"", b"\0", b"\xff\xfe", b"nan", b"-1", b"1e999", b",", b"\n", b'"', b"{", b"x" * 5000]


def mangled(content: bytes, chance: random.Random) -> bytes:
    """The content with a bit flipped, a piece lost, doubled or replaced by junk, or cut short."""
    here = chance.randrange(len(content) + 1)
    there = min(len(content), here + chance.choice([1, 4, 30, 500]))
    if chance.random() < 0.3 and here < len(content):
        return content[:here] + bytes([content[here] ^ (1 << chance.randrange(8))]) + content[here + 1 :]
    middle = chance.choice([b"", content[here:there] * 2, chance.choice(JUNK)])
    return content[:here] + middle + (b"" if chance.random() < 0.2 else content[there:])


def mangle(path: Path, chance: random.Random) -> None:
    """The same of a file; at times it is gone, or a folder."""
    kind = chance.random()
    if kind < 0.85:
        path.write_bytes(mangled(path.read_bytes(), chance))
        return
    path.unlink()
    if kind > 0.95:
        path.mkdir()


# Data of each format: how a file of it is made, and how it is read.


def _rows() -> dict[str, list[Any]]:
    draws = np.random.default_rng(0)
    return {
        "length": draws.normal(3.0, 1.0, 40).round(3).tolist(),
        "bit": draws.integers(0, 2, 40).tolist(),
        "kind": [["red", "blue", "grün"][i % 3] for i in range(40)],
        "label": draws.integers(0, 3, 40).tolist(),
    }


def _csv(path: Path) -> None:
    columns = _rows()
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


def _images(path: Path) -> None:
    path.mkdir()
    for i in range(6):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (6, 6), np.uint8)).save(path / f"{i}.png")


DIGITS = np.random.default_rng(0).integers(0, 17, (40, 4, 4)).astype(np.uint8)
COUNTS = Reading(kind="counts")
FORMATS: dict[str, tuple[str, Callable[[Path], Any], Reading]] = {
    "csv": ("a.csv", _csv, Reading(kind="columns")),
    "parquet": ("a.parquet", lambda path: pa.parquet.write_table(pa.table(_rows()), path), Reading(kind="columns")),
    "npz": ("a.npz", lambda path: np.savez(path, x=DIGITS, label=np.arange(40) % 3), COUNTS),
    "npy": ("a.npy", lambda path: np.save(path, DIGITS.astype(np.float32)), Reading(kind="reals")),
    "images": ("a", _images, COUNTS),
}


def try_data(kind: str, chance: random.Random, folder: Path) -> None:
    name, make, reading = FORMATS[kind]
    path = folder / name
    make(path)
    mangle(chance.choice(sorted(path.iterdir())) if path.is_dir() else path, chance)
    dataset = documented(lambda: load(str(path), reading))
    if dataset is not None and not (0 < len(dataset.train.x) <= 80):
        raise OddError(f"{len(dataset.train.x)} examples were read")


# What `vae-jax` says in one line; any other error is shown with a traceback.
MENDABLE = (ValueError, TypeError, OSError, ImportError, RuntimeError, OverflowError)


def documented(call: Callable[[], Any]) -> Any:
    """The result; None after an error that the package raised itself, or one of the system that names a file."""
    try:
        return call()
    except Exception as error:
        raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
        own = "vae_jax" in Path(raised_in).parts and len(str(error)) > 20 and isinstance(error, MENDABLE)
        # What goes wrong inside a user's file is shown with its line.
        if own or users_line(error) or (isinstance(error, OSError) and error.filename):
            return None
        raise OddError(f"{type(error).__name__} of {raised_in}: {' '.join(str(error).split())[:200]}") from error


# Config files of the user's.


def try_config(kind: str, chance: random.Random, folder: Path) -> None:
    path = folder / f"{kind}.py"
    text = (config_folder() / path.name).read_bytes()
    if chance.random() < 0.3:
        path.write_bytes(mangled(text, chance))
    else:
        # Another value in the place of one.
        values = list(re.finditer(rb'"[^"\n]*"|\b\d[\d_.e+-]*|\bTrue|\bFalse', text))
        found = chance.choice(values)
        value = chance.choice([*NUMBERS, '"a"', "None", "True", "()", "(0,)", "[]"]).encode()
        path.write_bytes(text[: found.start()] + value + text[found.end() :])
    attempt_command(train_command, [str(path), "--quick", "--out", str(folder / "run")])


# Command lines.

GRIDS = ["train.learning_rate=1e-3,1e-4", "objective.beta=1,nan", "model.hidden=1", "=", "model.latent_size=2,2"]


def flags() -> dict[str, Any]:
    """The flags of `train`, and the type of each."""
    found = {"--system": str}
    for section in sections(load_config("digits")).values():
        hints = typing.get_type_hints(type(section))
        found |= {"--" + field.name.replace("_", "-"): hints[field.name] for field in dataclasses.fields(section)}
    return found


def try_command(kind: str, chance: random.Random, folder: Path) -> None:
    known = flags()
    arguments = [chance.choice(config_names()), "--quick", "--out", str(folder / "run")]
    for _ in range(chance.choice([1, 1, 2, 3])):
        flag = chance.choice(list(known))
        choices = [str(value) for value in typing.get_args(known[flag]) if isinstance(value, str)]
        likely = choices or NUMBERS
        value = chance.choice(likely if chance.random() < 0.8 else VALUES)
        arguments += [flag] if chance.random() < 0.05 else [flag, value]
    command = train_command
    if kind == "sweep":
        command = sweep_command
        arguments += ["--over", chance.choice(GRIDS)]
    accepted = attempt_command(command, arguments)
    if not accepted and (folder / "run").exists():
        raise OddError("a refused command left a run behind")


class Accepted(BaseException):
    """A command came as far as training."""


def attempt_command(command: Callable[[list[str], Console], int], arguments: list[str]) -> bool:
    """Whether the command would train; it is stopped there."""

    def stop(*arguments: Any) -> None:
        raise Accepted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae_jax.train.loop, "train", stop)
        try:
            documented(lambda: command(arguments, console()))
        except Accepted:
            return True
        except SystemExit as refused:
            if refused.code != 2:
                raise OddError(f"exit status {refused.code}") from refused
    return False


# Run directories.


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    trained(folder, experiment("curve", epochs=2, save_seconds=0.0))
    (folder / "evaluation.json").write_text(json.dumps({"step": 1, "elbo": -1.0}))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def try_run(kind: str, chance: random.Random, folder: Path, whole: Path) -> None:
    copy = folder / "run"
    shutil.copytree(whole, copy)
    damaged = chance.choice(sorted(path for path in copy.rglob("*") if path.is_file()))
    mangle(damaged, chance)
    before = contents(copy)
    params = documented(lambda: load_state(open_run(copy)).best_params)
    documented(lambda: opened(copy))
    documented(lambda: read_metrics(copy))
    documented(lambda: read_evaluation(copy))
    if contents(copy) != before:
        raise OddError("a reader has changed a run")
    known = jax.tree.leaves(load_state(open_run(whole)).best_params)
    older = "checkpoints" in damaged.parts
    if params is not None and not older and not all(map(np.array_equal, jax.tree.leaves(params), known)):
        raise OddError(f"other parameters are read where {damaged.name} is damaged")


# All of it.

ATTEMPTS: dict[str, tuple[list[str], int, int]] = {
    # What is mangled: the kinds, how many cases of each are tried always, and how many more when there is time.
    "data": (list(FORMATS), 12, 240),
    "config": (config_names(), 1, 30),
    "command": (["train", "sweep"], 10, 500),
    "run": (["run"], 5, 200),
}


def odd_cases(what: str, kind: str, cases: range, folder: Path, *whole: Path) -> list[str]:
    tried: Callable[..., None] = {
        "data": try_data,
        "config": try_config,
        "command": try_command,
        "run": try_run,
    }[what]
    odd = []
    for case in cases:
        own = folder / str(case)
        own.mkdir()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tried(kind, random.Random(f"{what} {kind} {case}"), own, *whole)
        except OddError as error:
            odd.append(f"{what} {kind}, case {case}: {error}")
    return odd


def cases(*, many: bool) -> list[Any]:
    return [
        pytest.param(what, kind, range(few, few + more) if many else range(few), id=f"{what}-{kind}")
        for what, (kinds, few, more) in ATTEMPTS.items()
        for kind in kinds
    ]


def assert_none_is_odd(request: pytest.FixtureRequest, what: str, kind: str, cases: range, folder: Path) -> None:
    whole = (request.getfixturevalue("run"),) if what == "run" else ()
    assert odd_cases(what, kind, cases, folder, *whole) == []


@pytest.mark.parametrize(("what", "kind", "cases"), cases(many=False))
def test_what_is_mangled_is_named_or_read(request, what: str, kind: str, cases: range, tmp_path: Path) -> None:
    assert_none_is_odd(request, what, kind, cases, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "kind", "cases"), cases(many=True))
def test_much_that_is_mangled_is_named_or_read(request, what: str, kind: str, cases: range, tmp_path: Path) -> None:
    assert_none_is_odd(request, what, kind, cases, tmp_path)
