"""Whether what is to be trained fits into the memory of the device, known before anything is computed."""

import math
from typing import Any

import jax

from vae_jax.core.errors import ConfigError
from vae_jax.core.memory import host_memory


def check_memory(what: str, needed: int, remedy: str) -> None:
    """ConfigError where `what` needs more bytes than the device has."""
    most = memory()
    if most is not None and needed > most:
        raise ConfigError(
            f"{what} needs about {needed / 2**30:.1f} GiB at once, but there are {most / 2**30:.1f}. {remedy}"
        )


def held_in_a_step(state: Any, params: Any) -> int:
    """The bytes that a step holds at least: one state, since its buffers are given away, and gradients as `params`."""
    return size_of(state) + size_of(params)


def size_of(state: Any) -> int:
    """Bytes of a tree of arrays, which may be abstract."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def memory() -> int | None:
    """Bytes of the device's memory, or None where it does not say."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    return host_memory()
