"""How a run is computed: on which devices, in which precision, in how much memory."""

from dataclasses import dataclass
from typing import Literal

from vae_jax.config.ranges import Positive

Precision = Literal["device", "float32", "tf32", "bfloat16"]


@dataclass(frozen=True)
class Compute:
    """Devices, precision and memory. What is learned stays the same, but for rounding."""

    mesh: tuple[str, ...] = ()
    """Devices along each axis, data=8 or data=4 samples=2; of a sweep members=8. By default all of them, along data or
    members."""
    stream: bool = False
    """Keep the training examples outside of the device, and bring them as they are needed; also without it where they
    do not fit. Needs the extra stream."""
    precision: Precision = "device"
    """Numbers that products of arrays are made of in training: device is JAX's own choice (float32 on a CPU). Sums,
    densities and parameters stay float32."""
    accumulate: Positive[int] = 1
    """Parts of a batch, computed one after the other: the same step in less memory and more time."""
