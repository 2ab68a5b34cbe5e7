"""What a run from Python is made of, in words."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import vae_jax as vj
from tests.runs import console
from vae_jax.cli import main
from vae_jax.config import Compute, Evaluate, Train
from vae_jax.core.errors import ConfigError, DamagedError
from vae_jax.core.seal import sealed
from vae_jax.systems.system import System
from vae_jax.train.files import MADE
from vae_jax.train.made import check_made, check_numbers, described, made_of, read_made
from vae_jax.train.python import as_dataset, as_system, python_run
from vae_jax.train.run import Run

PARTS = {
    "a bound": vj.dreg(vj.iwae),
    "another": vj.dreg(vj.elbo),
    "an estimator": vj.stl(vj.elbo),
    "a bound of a number": vj.total(vj.renyi(0.3)),
    "another number": vj.total(vj.renyi(0.4)),
    "adam": optax.adam(1e-3),
    "another rate": optax.adam(2e-3),
    "a schedule": optax.adam(optax.cosine_decay_schedule(1e-3, 100)),
    "a longer one": optax.adam(optax.cosine_decay_schedule(1e-3, 200)),
    "a chain": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3)),
    "an array": jnp.arange(3),
    "other numbers": jnp.arange(1, 4),
    "a pytree": {"w": np.ones((2, 3)), "b": [np.zeros(3), None]},
    "a network": nn.Dense(3).apply,
    "a wider one": nn.Dense(4).apply,
    "a system": as_system(vj.VAE(*[lambda params, x: x] * 3), {"w": jnp.ones(2)}),
    "a word": "word",
    "a number of NumPy": optax.adam(np.float32(0.25)),
    "another of NumPy": optax.adam(np.float32(0.5)),
    "a default": lambda params, z, scale=1.0: z,
    "another default": lambda params, z, scale=2.0: z,
    "gradients added up": optax.MultiSteps(optax.adam(1e-3), 4),
    "more of them": optax.MultiSteps(optax.adam(1e-3), 8),
}


def test_every_part_has_words_of_its_own() -> None:
    words = {name: described(part) for name, part in PARTS.items()}
    assert len(set(words.values())) == len(PARTS)
    assert not [name for name, said in words.items() if " at 0x" in said]
    assert words["a bound"] == "dreg.<locals>.estimate(bound=iwae)"


def test_another_process_finds_the_same_words() -> None:
    code = "from tests.train.test_made import *; print({name: described(part) for name, part in PARTS.items()})"
    root = Path(__file__).parents[2]
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    assert found.stdout.strip() == str({name: described(part) for name, part in PARTS.items()})


def test_what_holds_itself_has_an_end() -> None:
    def first(n: int) -> int:
        return n and first(n - 1)

    deep: list = []
    for _ in range(50):
        deep = [deep]
    for part in (first, deep):
        assert "…" in described(part)


X = np.random.default_rng(0).integers(0, 2, (60, 4)).astype(np.float32)
SETTINGS = {"optimizer": optax.adam(1e-3), "epochs": 1, "batch_size": 8}
WEIGHTS = {"w": jnp.ones((4, 2))}

CHANGES = {
    "estimate": {"estimate": vj.total(vj.iwae)},
    "number of samples": {"num_samples": 4},
    "optimiser": {"optimizer": optax.adam(1e-2)},
    "start": {"params": {"w": jnp.full((4, 2), 0.2)}},
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_directory_holds_one_run(changed: str, tmp_path: Path) -> None:
    vae = vj.VAE(
        lambda params, x: vj.DiagNormal(x @ params["w"], jnp.ones(2)),
        lambda params, z: vj.Bernoulli(params["w"] @ z),
        lambda params: vj.standard_normal(2),
    )
    settings = SETTINGS | {"params": WEIGHTS, "estimate": vj.dreg(vj.iwae), "num_samples": 3}
    directory = tmp_path / "run"
    fitted = vj.fit(vae, X, directory=directory, console=console(), **settings)
    again = vj.fit(vae, X, directory=directory, console=console(), **settings)
    assert again.state.train.step == fitted.state.train.step
    with pytest.raises(ConfigError, match=f"run holds a run with another {changed}. Name another directory"):
        vj.fit(vae, X, directory=directory, console=console(), **settings | CHANGES[changed])


# What an edit of a file or of a notebook changes: bodies of functions whose names and closures stay.
CODE = """
import jax.numpy as jnp
import vae_jax as vj

SHARE = 0.5
start = {"w": jnp.ones((4, 2))}

def encode(params, x):
    return vj.DiagNormal(0.5 * x @ params["w"], jnp.full(2, 0.8))

def softened(log_w):
    return SHARE * vj.elbo(log_w) + 0.5 * vj.iwae(log_w)

def model():
    return vj.VAE(encode, lambda params, z: vj.Bernoulli(params["w"] @ z), lambda params: vj.standard_normal(2))

def build():
    return vj.as_system(model(), start, estimate=vj.total(softened), num_samples=3)
"""
EDITS = {
    "model": ("0.5 * x @", "0.6 * x @"),
    "likelihood": ('vj.Bernoulli(params["w"] @ z)', 'vj.DiagNormal(params["w"] @ z, jnp.ones(4))'),
    "prior": ("vj.standard_normal(2)", "vj.DiagNormal(jnp.zeros(2), jnp.full(2, 1.5))"),
    "bound": ("0.5 * vj.iwae(log_w)", "0.5 * vj.renyi(0.5)(log_w)"),
    "global of a bound": ("SHARE = 0.5", "SHARE = 0.45"),
}


REFUSED = "run holds a run with a model, or a bound, that computes another number: at the start its .* name another"


def executed(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def fit(directory: Path, names: dict[str, Any], **options: Any) -> Any:
    options |= SETTINGS | {"params": names["start"], "estimate": vj.total(names["softened"]), "num_samples": 3}
    return vj.fit(names["model"](), X, directory=directory, console=console(), **options)


def opened(directory: Path, names: dict[str, Any], params: Any) -> Any:
    return vj.open_run(directory, names["model"](), X, params=params, optimizer=SETTINGS["optimizer"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made") / "run"
    fit(directory, executed(CODE))
    return directory


@pytest.mark.parametrize("edited", EDITS)
def test_a_function_with_another_body_is_another_run(edited: str, run: Path) -> None:
    now, other = executed(CODE), executed(CODE.replace(*EDITS[edited]))
    assert described(now["model"]()) == described(other["model"]())
    with pytest.raises(ConfigError, match=REFUSED):
        fit(run, other)


def test_the_same_functions_are_the_same_run(run: Path, tmp_path: Path) -> None:
    # Batches may be computed in parts, and k be another.
    fit(run, executed(CODE), compute=Compute(accumulate=2), evaluation_samples=5)
    opened(run, executed(CODE), WEIGHTS)
    # Of a run that is only opened the model may be another: it is measured by what it does.
    other = executed(CODE.replace(*EDITS["model"]))
    opened(run, other, WEIGHTS)
    # Nothing is known of one that was made before numbers were kept.
    old = shutil.copytree(run, tmp_path / "run")
    made = {name: said for name, said in read_made(old).items() if name != "numbers"}
    (old / MADE).write_text(json.dumps(sealed(made)))
    assert fit(old, other).state.train.step == 5


def test_an_edited_file_of_a_model_is_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, data, directory = tmp_path / "mine.py", tmp_path / "data.npy", str(tmp_path / "run")
    np.save(data, X)

    def fit() -> Any:
        settings = {"epochs": 1, "batch_size": 8, "console": console()}
        return vj.fit(None, str(data), build=f"{file}:build", directory=directory, **settings)

    file.write_text(CODE)
    fit()
    assert vj.open_run(directory).state.train.step == 5
    file.write_text(CODE.replace(*EDITS["bound"]))
    with pytest.raises(ConfigError, match=REFUSED):
        fit()
    file.write_text(CODE.replace(*EDITS["model"]))
    assert main(["evaluate", directory, "--gaps", "0"]) == 1
    assert "Go on with the code that it was trained with" in capsys.readouterr().err


def system(loss: Any) -> System:
    init = lambda key, batch: {"w": jnp.ones(())}
    return System(init, lambda params, key, batch, step: (loss(params, key), {}), None)


def test_numbers_are_compared_by_their_first_digits(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    fitted = vj.fit(system(lambda params, key: params["w"]), X, directory=directory, console=console(), **SETTINGS)
    made = read_made(directory)

    def refused(share: float, versions: str) -> bool:
        (directory / MADE).write_text(json.dumps(sealed(made | {"versions": versions})))
        other = system(lambda params, key: (1.0 + share) * params["w"])
        try:
            check_numbers(directory, dataclasses.replace(fitted.run, system=other))
        except ConfigError:
            return True
        return False

    here, elsewhere = made["versions"], f"vae_jax {vj.__version__}, jax of tomorrow"
    assert [refused(share, here) for share in (1e-4, 5e-3, 2e-2)] == [False, True, True]
    assert [refused(share, elsewhere) for share in (1e-4, 5e-3, 2e-2)] == [False, False, True]
    # Another version of this package may draw other noise.
    assert not refused(1.0, "vae_jax 0.0.1, jax of today")


def test_what_is_random_or_no_number_at_the_start_is_known_again(tmp_path: Path) -> None:
    losses = {
        "noise": lambda params, key: params["w"] * jax.random.normal(key),
        "nan": lambda params, key: params["w"] + jnp.nan,
        "infinite": lambda params, key: params["w"] + jnp.inf,
    }

    def of(name: str, loss: Any) -> Run:
        settings = {"train": Train(epochs=1, batch_size=8), "evaluate": Evaluate(), "compute": Compute(), "parts": {}}
        return python_run(system(loss), as_dataset(X), tmp_path / name, **settings)

    for name in losses:
        of(name, losses[name])
        for other, loss in losses.items():
            if other == name:
                of(name, loss)
            else:
                with pytest.raises(ConfigError, match="computes another number"):
                    of(name, loss)


def test_of_other_versions_nothing_is_known(tmp_path: Path) -> None:
    made = made_of({"estimate": vj.dreg(vj.iwae)})
    check_made(tmp_path, made)
    (tmp_path / MADE).write_text('{"versions": "vae_jax 0.0.1", "estimate": "x"}')
    check_made(tmp_path, made)
    for damaged, message in (
        ('{"versions', r"made.json is damaged .* Without that file the run goes on"),
        (json.dumps(sealed(made)).replace("dreg", "dreh"), r"made.json is damaged, or was changed by hand"),
    ):
        (tmp_path / MADE).write_text(damaged)
        with pytest.raises(DamagedError, match=message):
            check_made(tmp_path, made)
