"""What a run from Python is made of, in words."""

import json
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

import vae_jax as vj
from tests.runs import console
from vae_jax.core.errors import ConfigError, DamagedError
from vae_jax.core.seal import sealed
from vae_jax.train.files import MADE
from vae_jax.train.made import check_made, described, made_of
from vae_jax.train.python import as_system

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
    x = np.random.default_rng(0).integers(0, 2, (60, 4)).astype(np.float32)
    settings = {"params": {"w": jnp.ones((4, 2))}, "estimate": vj.dreg(vj.iwae), "num_samples": 3}
    settings |= {"optimizer": optax.adam(1e-3), "epochs": 1, "batch_size": 8}
    directory = tmp_path / "run"
    fitted = vj.fit(vae, x, directory=directory, console=console(), **settings)
    again = vj.fit(vae, x, directory=directory, console=console(), **settings)
    assert again.state.train.step == fitted.state.train.step
    with pytest.raises(ConfigError, match=f"run holds a run with another {changed}. Name another directory"):
        vj.fit(vae, x, directory=directory, console=console(), **settings | CHANGES[changed])


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
