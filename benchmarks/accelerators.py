"""The training programs compiled for accelerators that are not there: that they compile, and what memory they take.

    pip install 'jax[tpu]'    # or, for gpu: 'jax[cuda12]'
    python benchmarks/accelerators.py tpu|gpu [--configs CONFIG …] [--otherwise CONFIG …] [--batch 1024]

XLA's compilers need no accelerator: this asks those for four TPU v5e, or four NVIDIA H100. Each program is compiled for
one device, and for all of them with the batch cut along `data`. By default it is one config of every system, and a deep
hierarchy, on the digits that stand in. Shown are, in MB of one device: the state, how much of the arguments is given
away (more than the state on a TPU, which fills up its tiles), the memory beside it of one device and of one of four;
then the operations of one of four for those of one (which the compiler for GPUs does not count), what a step adds up
over the devices, and what it moves.

Then, of some, the memory of one device: as it is, with `--accumulate`, and with the loss computed again for its
gradient (`jax.checkpoint`), where what the products give is kept, or nothing.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jax
import numpy as np
from costs import ADDED, MOVED, exchanged
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.core.mesh import DATA, on
from vae_jax.train.memory import size_of
from vae_jax.train.program import train_in_order
from vae_jax.train.run import Run, assembled
from vae_jax.train.source import load_data

CONFIGS = (
    *("autoencoder", "vae", "iwae_mnist", "deep_mnist", "info_vae", "tc_vae", "factor_vae", "dip_vae"),
    *("adversarial_autoencoder", "discriminative_vae", "conditional_vae", "m2", "m1m2", "vq_vae", "equations"),
)
# For which the memory is asked in other ways, in how many parts.
OTHERWISE, PARTS = ("discriminative_vae", "grid_vae", "vq_vae"), (2, 4, 8)
NOWHERE = Path("a run that is not made")
# Else the libraries look for devices, and ask the network which there are.
ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}
# What NVIDIA says of an H100, in the words of XLA.
H100 = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 7 }
runtime_version { major: 12 minor: 8 }
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_core: 233472 shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800 memory_bandwidth: 3352320000000 device_memory_size: 84929347584
}
"""
TOPOLOGIES: dict[str, dict[str, str]] = {
    "tpu": {"platform": "tpu", "topology_name": "v5e:2x2x1"},
    "gpu": {"platform": "cuda", "topology_name": "", "topology": "1x1x4", "target_config": H100},
}


def run_of(name: str, batch_size: int, **compute: Any) -> Run:
    """A config on the examples that stand in, again and again until there are four batches."""
    config = quick(load_config(name))
    train, how = config.train, dataclasses.replace(config.compute, **compute)
    dataset = load_data(dataclasses.replace(config, compute=how))
    rows = np.resize(np.arange(len(dataset.train.x)), 4 * batch_size)
    config = dataclasses.replace(config, train=dataclasses.replace(train, batch_size=batch_size), compute=how)
    return assembled(config, NOWHERE, dataclasses.replace(dataset, train=dataset.train.take(rows)))


def compiled(run: Run, kind: str, devices: list[Any], loss: Callable[..., Any] | None = None) -> Any:
    """The program that trains a run on these devices."""
    mesh = Mesh(np.asarray(devices), (DATA,), axis_types=(AxisType.Auto,)) if len(devices) > 1 else None
    sharding = SingleDeviceSharding(devices[0]) if mesh is None else NamedSharding(mesh, PartitionSpec())
    system = run.system if loss is None else run.system._replace(loss=loss)

    def placed(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    order = np.zeros(len(run.dataset.train.x), np.int32)
    arguments = (run.dataset.train.batch(), order, run.abstract().train, np.zeros((), np.int32))
    options: Any = {"batch_size": run.config.train.batch_size}
    program = partial(train_in_order, system, run.optimizer, run.dataset.prepare_training, **options)
    # What is traced is what that device is given.
    with patch("jax.default_backend", lambda: kind), on(mesh):
        return jax.jit(program, donate_argnames="state").lower(*jax.tree.map(placed, arguments)).compile()


def megabytes(*counts: float) -> str:
    return " ".join(f"{count / 2**20:>8.2f}" for count in counts)


def operations(program: Any) -> float:
    """NaN where the compiler does not count them, as that for GPUs."""
    counts = program.cost_analysis()
    return counts["flops"] if counts else float("nan")


def show(name: str, kind: str, batch_size: int, devices: list[Any]) -> None:
    """A line of the first table."""
    began = time.monotonic()
    run = run_of(name, batch_size)
    one, many = (compiled(run, kind, some) for some in (devices[:1], devices))
    memory, each, program = one.memory_analysis(), many.memory_analysis(), many.as_text()
    state = size_of(run.abstract().train)
    first = megabytes(state, memory.alias_size_in_bytes, memory.temp_size_in_bytes, each.temp_size_in_bytes)
    share = operations(many) / operations(one)
    between = megabytes(exchanged(program, ADDED), exchanged(program, MOVED))
    print(f"{name:24}{first} {share:>8.2f} {between} {time.monotonic() - began:>8.0f}", flush=True)


def show_otherwise(name: str, kind: str, batch_size: int, device: Any) -> None:
    """The lines of one config in the second table."""
    run = run_of(name, batch_size)
    again = partial(jax.checkpoint, run.system.loss)
    arms: dict[str, tuple[Run, Any]] = {"as it is": (run, None)}
    arms |= {f"--accumulate {parts}": (run_of(name, batch_size, accumulate=parts), None) for parts in PARTS}
    arms["again, but the products"] = (run, again(policy=jax.checkpoint_policies.dots_saveable))
    arms["again, all of it"] = (run, again())
    for arm, (of_arm, loss) in arms.items():
        memory = compiled(of_arm, kind, [device], loss).memory_analysis()
        print(f"{name:16} {arm:24} {megabytes(memory.temp_size_in_bytes)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=list(TOPOLOGIES))
    parser.add_argument("--configs", nargs="*", default=list(CONFIGS))
    parser.add_argument("--otherwise", nargs="*", default=list(OTHERWISE))
    parser.add_argument("--batch", type=int, default=1024)
    options = parser.parse_args()
    os.environ |= ALONE
    jax.config.update("jax_platforms", "cpu")
    devices = list(topologies.get_topology_desc(**TOPOLOGIES[options.kind]).devices)
    print(f"{len(devices)} x {devices[0].device_kind}, batch {options.batch}, MB of one device")
    titles = ("state", "given", "of one", f"of {len(devices)}", "work", "added", "moved", "seconds")
    print(f"{'config':24}" + " ".join(f"{title:>8}" for title in titles))
    for name in options.configs:
        show(name, options.kind, options.batch, devices)
    for name in options.otherwise:
        show_otherwise(name, options.kind, options.batch, devices[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
