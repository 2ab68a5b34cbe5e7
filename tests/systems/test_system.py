from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax import lax

from tests.runs import changed
from vae_jax import System
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.systems.registry import system_names
from vae_jax.train.run import num_steps, prepare_run

# A config of each system. Those that join codes of a whole batch are the ones whose parts could go wrong.
CONFIGS = {
    "adversarial": "adversarial_autoencoder",
    "autoencoder": "sparse_autoencoder",
    "conditional": "conditional_vae",
    "dip": "dip_vae",
    "discriminative": "discriminative_vae",
    "factor": "factor_vae",
    "info": "info_vae",
    "m1m2": "m1m2",
    "m2": "m2",
    "strings": "equations",
    "tc": "tc_vae",
    "vae": "digits",
    "vq": "vq_vae",
}
PARTS = 7


def value_and_grad(name: str, parts: int, tmp_path: Path, *, model: Any) -> tuple[Any, int]:
    """Loss, metrics and gradient of one batch, at the first step and at the last, and the bytes that XLA reserves."""
    config = quick(load_config(CONFIGS[name]))
    assert config.system == name
    config = changed(changed(config, "compute", accumulate=parts), "model", **model)
    run, key = prepare_run(config, tmp_path), jax.random.key(0)
    batch = run.dataset.prepare(key, jax.tree.map(lambda leaf: leaf[:384], run.dataset.train.batch()))
    # Of both stages, where there are two.
    steps = jnp.array([0, num_steps(run) - 1])
    step = jax.value_and_grad(run.system.loss, has_aux=True)
    program = jax.jit(lambda params: lax.map(lambda number: step(params, key, batch, number), steps))
    params = run.system.init(key, batch)
    compiled = program.lower(params).compile()
    return compiled(params), compiled.memory_analysis().temp_size_in_bytes


def test_every_system_has_a_row() -> None:
    assert sorted(CONFIGS) == system_names()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_batch_in_parts_gives_the_same_step(name: str, tmp_path: Path) -> None:
    whole, in_parts = (value_and_grad(name, parts, tmp_path, model={})[0] for parts in (1, PARTS))
    for one, other in zip(jax.tree.leaves(in_parts), jax.tree.leaves(whole), strict=True):
        # Not element by element: at the kink of a ReLU one slope may be another.
        assert optax.tree.norm(one - other) <= 1e-3 * optax.tree.norm(other) + 1e-6


@pytest.mark.parametrize("name", ["dip", "vq"])
def test_of_a_loss_of_the_whole_batch_the_networks_alone_are_in_parts(name: str, tmp_path: Path) -> None:
    model = {"network": "grid" if name == "vq" else "conv", "hidden": (32, 32)}
    whole, in_parts = (value_and_grad(name, parts, tmp_path, model=model)[1] for parts in (1, PARTS))
    assert in_parts < whole / 3, (in_parts, whole)


def test_optional_fields_have_defaults() -> None:
    system = System(init=lambda key, batch: {}, loss=lambda *a: (0.0, {}), vae=None)
    tx = optax.sgd(0.1)
    assert system.optimizer(tx) is tx
    assert system.given is None
