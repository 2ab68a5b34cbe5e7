"""A few small trainings on as many devices as there are, as one process or as one of several.

`python on_devices.py OUT.json NAMES [ADDRESS COUNT NUMBER]` writes what came of each by name; NAMES have commas
between. The environment says how many devices a process has.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae_jax.config import Compute, Experiment, quick
from vae_jax.config.files import load_config
from vae_jax.core.mesh import DATA, on, own_rows
from vae_jax.train.checkpoint import Checkpoints
from vae_jax.train.files import CHECKPOINTS
from vae_jax.train.processes import by_first, here, is_first, join_processes
from vae_jax.train.run import create, open_run
from vae_jax.train.sweep import create_sweep, open_sweep

STEPS = 20
SMALL = {"hidden": (16,), "latent_size": 2}
QUANTISATION = {"codebook_size": 4, "least_use": 0.0, "code_prior_layers": 1, "code_prior_width": 8}
# Configs by name, and what they are changed to. A batch has 16 examples.
CONFIGS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "vae": ("vae", {"model": SMALL}),
    "streamed": ("vae", {"model": SMALL}),
    "iwae": ("digits", {"model": SMALL, "objective": {"num_samples": 4}}),
    "info_vae": ("info_vae", {"model": SMALL}),
    "tc_vae": ("tc_vae", {"model": {"network": "mlp", **SMALL}}),
    # Few codes, none of which begins anew: a choice by a small margin may be another on other devices.
    "vq_vae": ("vq_vae", {"model": {"hidden": (8, 8), "latent_size": 4}, "quantisation": QUANTISATION}),
}


def small(name: str, mesh: tuple[str, ...] = ()) -> Experiment:
    """A config on the digits that stand in, with small networks."""
    base, changes = CONFIGS[name]
    config = quick(load_config(base))
    parts = {section: dataclasses.replace(getattr(config, section), **fields) for section, fields in changes.items()}
    return dataclasses.replace(config, **parts, compute=Compute(mesh=mesh, stream=name == "streamed"))


def trained(run: Any) -> dict[str, Any]:
    """The mean loss of the first steps, the norm of the parameters, and which examples of a batch are read here.

    The state is saved.
    """
    with on(run.mesh):
        state = run.initial()
        state = state._replace(train=run.advance()(state.train, STEPS))
        checkpoints = Checkpoints(run.directory / CHECKPOINTS)
        checkpoints.save(STEPS, state)
        checkpoints.close()
        own = own_rows(16, DATA)
        axes = {} if run.mesh is None else dict(run.mesh.shape)
        state = here(state)
        loss = np.asarray(state.train.metrics["loss"]).tolist()
        norm = float(sum(np.square(np.asarray(leaf)).sum() for leaf in jax.tree.leaves(state.train.params)))
    return {"loss": loss, "norm": norm, "axes": axes, "own": [own.start, own.stop]}


def made(name: str, folder: Path) -> Any:
    """The run or the sweep of a name, ready to train."""
    directory = folder / name
    if name == "sweep":
        grid: Any = {("optimizer", "learning_rate"): (1e-3, 3e-3)}
        return by_first(lambda: create_sweep(small("vae"), grid, 2, directory), lambda: open_sweep(directory))
    # Draws are cut too where the devices are asked for that.
    many = jax.device_count() == 8 and name == "iwae"
    config = small(name, ("data=2", "samples=4") if many else ())
    return by_first(lambda: create(config, directory), lambda: open_run(directory))


def main(out: Path, names: str, *processes: str) -> None:
    """Train all, and write what came of them."""
    join_processes(processes or None)
    results = {name: trained(made(name, out.with_suffix(""))) for name in names.split(",")}
    if is_first():
        out.write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
