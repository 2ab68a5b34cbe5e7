"""What a training step costs: its time against k, batch, width and layers of z, and what many devices tell each other.

    python benchmarks/costs.py [COSTS.json] [--picture COSTS.png] [--rounds 5]

All programs of an axis alternate in one run; the median of their steps is shown. One axis is varied, the others stay:
784-200-200-50 with k = 1, a batch of 128. Layers of z are those of `ladder_mnist`, on 64 units. The bytes between
devices are counted in the compiled step on virtual devices, which share this machine's cores: their time says nothing.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

AXES: dict[str, tuple[int, ...]] = {
    "k": (1, 2, 5, 10, 20, 50),
    "batch": (16, 32, 64, 128, 256, 512, 1024),
    "width": (50, 100, 200, 400, 800),
    "layers of z": (1, 2, 5, 10, 20),
}
DEVICES = (2, 4, 8)
# The operations between devices, as XLA calls them: those that add, and those that only move.
ADDED, MOVED = ("all-reduce", "reduce-scatter"), ("all-gather", "all-to-all", "collective-permute")
# The time of one measurement, about, and bytes of the types that devices exchange.
MILLISECONDS, BYTES = 300.0, {"bf16": 2, "f32": 4, "s32": 4, "u32": 4, "pred": 1}


def config_of(axis: str, value: int) -> Any:
    from vae_jax.config import Data, Experiment, Model, Objective
    from vae_jax.config.files import load_config

    if axis == "layers of z":
        ladder = load_config("ladder_mnist")
        return dataclasses.replace(
            ladder, model=dataclasses.replace(ladder.model, hidden=(64,), latent_layers=(value,))
        )
    width = value if axis == "width" else 200
    bound = Objective(bound="iwae", estimator="total", num_samples=value) if axis == "k" else Objective()
    return Experiment("", Data("mnist"), Model(hidden=(width, width), latent_size=50), objective=bound)


def times(axis: str, rounds: int) -> dict[int, float]:
    """The median milliseconds of a step for each value of an axis."""
    from program import images, milliseconds, program, training_data

    data = training_data(images(10_000))
    programs = {
        value: program(config_of(axis, value), data, batch_size=value if axis == "batch" else 128)
        for value in AXES[axis]
    }
    # As many steps as last about as long, so that the costly ones do not take all the time.
    trial = milliseconds(programs, rounds=1, steps=5)
    steps = {value: max(3, int(MILLISECONDS / trial[value].min())) for value in programs}
    found = milliseconds(programs, rounds=rounds, steps=steps)
    return {value: float(np.median(found[value])) for value in programs}


def added_up(devices: int) -> int:
    """Bytes that one step of the model adds up over so many devices, by its compiled program."""
    import jax
    import optax
    from program import images, training_data

    from vae_jax.core.mesh import DATA, along, on
    from vae_jax.systems.vae import build
    from vae_jax.train import initial_state
    from vae_jax.train.program import train_step

    data = training_data(images(1_000))
    system, tx = build(config_of("width", 200), data), optax.adam(1e-3)
    batch = data.train.take(slice(128)).batch()

    def step(state: Any, batch: Any) -> Any:
        return train_step(system, tx, state, jax.random.key(0), along(DATA, batch))

    with on(jax.make_mesh((devices,), (DATA,), axis_types=(jax.sharding.AxisType.Auto,))):
        batch = data.prepare(jax.random.key(0), batch)
        state = initial_state(system, tx, data.prepare, data.train.batch(), jax.random.key(0))
        return exchanged(jax.jit(step).lower(state, batch).compile().as_text() or "", ADDED)


def exchanged(program: str, kinds: tuple[str, ...]) -> int:
    """Bytes of what the operations of these kinds between devices give, each counted once."""
    total = 0
    for line in program.splitlines():
        result = re.match(rf"\s*(?:ROOT )?%?[\w.-]+ = (.*?) (?:{'|'.join(kinds)})(?:-start)?\(", line)
        for kind, shape in re.findall(r"(\w+)\[([\d,]*)\]", result.group(1)) if result else ():
            total += BYTES[kind] * int(np.prod([int(size) for size in shape.split(",") if size]))
    return total


def show_devices(count: int) -> None:
    """Let this process have so many virtual devices, before it asks for one."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"


def on_devices(count: int) -> int:
    """`added_up`, in a process with so many devices."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=show_devices, initargs=(count,)) as pool:
        return pool.submit(added_up, count).result()


def picture(found: dict[str, dict[int, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(1, len(found), figsize=(3.0 * len(found), 2.9), layout="constrained")
    for axis, (name, row) in zip(axes, found.items(), strict=True):
        x, y = np.array(list(row)), np.array(list(row.values()))
        axis.semilogx(x, y, "o-", color="tab:blue")
        if name == "devices":
            axis.set_ylim(0.0, 2.0 * y.max())
        else:
            # A line through the last value, on which twice as much would take twice as long.
            axis.loglog(x, y[-1] * x / x[-1], ":", color="tab:gray", label="in proportion")
            axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.yaxis.set_major_formatter("{x:g}")
        axis.set_xticks(x, [str(value) for value in x])
        axis.minorticks_off()
        axis.set(xlabel=name, title="MB added up a step" if name == "devices" else "ms of a step")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, nargs="?")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, dict[int, float]] = {}
    for axis in AXES:
        found[axis] = times(axis, arguments.rounds)
        print(f"{axis:<12} " + "  ".join(f"{value}: {ms:.2f} ms" for value, ms in found[axis].items()), flush=True)
    found["devices"] = {count: on_devices(count) / 1e6 for count in DEVICES}
    print(f"{'devices':<12} " + "  ".join(f"{count}: {size:.2f} MB" for count, size in found["devices"].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if arguments.picture:
        picture(found, arguments.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
