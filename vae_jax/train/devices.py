"""Which devices a run is computed on: the mesh of a config, or what suits the devices that there are."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh

from vae_jax.config.fields import Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.core.mesh import AXES, DATA, MEMBERS, SAMPLES
from vae_jax.systems.registry import is_made
from vae_jax.train.precision import check_precision


def mesh_for(
    asked: tuple[str, ...], *, batch_size: int, num_samples: int = 1, members: int | None = None
) -> Mesh | None:
    """The mesh of `--mesh`, or by default of all devices; None where it would have one device.

    By default a batch is cut along `data`, and of a sweep its `members` are, and with the devices left over the
    batches: as many devices as there are parts of one size. ConfigError for what cannot be cut so.
    """
    lengths = {DATA: batch_size, SAMPLES: num_samples} | ({MEMBERS: members} if members is not None else {})
    count = jax.device_count()
    sizes = _asked(asked, lengths, count) if asked else _all(lengths, count)
    if jax.process_count() > 1 and math.prod(sizes.values()) < count:
        raise ConfigError(
            f"{jax.process_count()} processes have {count} devices, all of which must be used, but "
            f"{_written(sizes)} uses {math.prod(sizes.values())}. Make --batch-size a multiple of {count}."
        )
    sizes = {axis: size for axis, size in sizes.items() if size > 1}
    if not sizes:
        return None
    return _mesh(sizes, jax.devices()[: math.prod(sizes.values())])


def draws_of(config: Experiment) -> int:
    """What the draws of z in every step are a multiple of; 0, which any number divides, where they are not known."""
    # A model made in Python has draws of its own.
    return 0 if is_made(config.system) else math.gcd(config.objective.num_samples, *config.objective.grow_to)


def everywhere() -> Mesh | None:
    """All devices of this process along `data`, to measure on; None where there is but one."""
    devices = jax.local_devices()
    return _mesh({DATA: len(devices)}, devices) if len(devices) > 1 else None


def _mesh(sizes: dict[str, int], devices: Sequence[Any]) -> Mesh:
    kinds = (AxisType.Auto,) * len(sizes)
    return jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=kinds, devices=devices)


def _all(lengths: dict[str, int], count: int) -> dict[str, int]:
    members = _largest_divisor(lengths.get(MEMBERS, 1), count)
    return {MEMBERS: members, DATA: _largest_divisor(lengths[DATA], count // members)}


def _largest_divisor(length: int, most: int) -> int:
    return max(size for size in range(1, most + 1) if length % size == 0)


def _asked(asked: tuple[str, ...], lengths: dict[str, int], count: int) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for word in asked:
        axis, _, number = word.partition("=")
        if axis not in lengths or not number.isdecimal() or int(number) < 1 or axis in sizes:
            kinds = " ".join(f"{axis}=2" for axis in lengths)
            only = f" {MEMBERS} is for a sweep." if axis == MEMBERS else ""
            raise ConfigError(f"--mesh takes axes with their numbers of devices, as {kinds}; got {word!r}.{only}")
        sizes[axis] = int(number)
    if math.prod(sizes.values()) > count:
        raise ConfigError(
            f"--mesh {' '.join(asked)} needs {math.prod(sizes.values())} devices, but there {_are(count)}."
        )
    for axis, size in sizes.items():
        if lengths[axis] % size:
            possible = ", ".join(str(n) for n in range(1, count + 1) if lengths[axis] % n == 0)
            raise ConfigError(
                f"--mesh {axis}={size}: {lengths[axis]} {_WHAT[axis]} cannot be cut into {size} parts of one size, "
                f"only into {possible}."
            )
    return sizes


def _are(count: int) -> str:
    return "is 1" if count == 1 else f"are {count}"


_WHAT = {DATA: "examples of a batch (--batch-size)", SAMPLES: "draws of z (--num-samples)", MEMBERS: "members"}
assert set(_WHAT) == set(AXES)


def _written(sizes: dict[str, int]) -> str:
    return " ".join(f"{axis}={size}" for axis, size in sizes.items() if size > 1) or f"{DATA}=1"


def on_mesh(run: Any, asked: tuple[str, ...] | None) -> Any:
    """The run or the sweep on the devices that are asked for; None leaves those of its config."""
    if asked is None:
        return run
    compute = dataclasses.replace(run.config.compute, mesh=asked)
    return dataclasses.replace(run, config=dataclasses.replace(run.config, compute=compute))


def check_compute(run: Any) -> None:
    """ConfigError where the devices cannot compute a run or a sweep as its config says."""
    check_precision(run.config.compute.precision)
    # It is made when it is asked for.
    _ = run.mesh


def told(mesh: Mesh | None) -> str | None:
    """The devices of a run in a line; None where there is but one."""
    count, kind = jax.device_count(), jax.devices()[0].device_kind
    if count == 1:
        return None
    used = 1 if mesh is None else mesh.size
    idle = f"; {count - used} are idle, since the batch cannot be cut so" if used < count else ""
    return f"devices: {used} of {count} ({kind}), --mesh {_written(dict(mesh.shape) if mesh else {})}{idle}"
