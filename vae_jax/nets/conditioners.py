"""The networks inside flows: plain functions of a dict of arrays, so that layers of them can be stacked.

`params` is `{"kernel0": …, "bias0": …, "kernel1": …}`. In an amortised flow an output of the encoder is added to
`bias0`. The last kernel starts at zero, so that a layer starts as the identity.
"""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.types import Array, Key

Layers = dict[str, Array]


def init_layers(key: Key, sizes: Sequence[int]) -> Layers:
    """Parameters of dense layers of `sizes`, the first that of the input; the last kernel and all biases are zero."""
    params: Layers = {}
    keys = jax.random.split(key, len(sizes) - 1)
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        kernel = jax.nn.initializers.lecun_normal()(keys[i], (max(fan_in, 1), fan_out))[:fan_in]
        params |= {f"kernel{i}": jnp.zeros_like(kernel) if last else kernel, f"bias{i}": jnp.zeros(fan_out)}
    return params


def dense(params: Layers, x: Array, masks: Sequence[np.ndarray] | None = None) -> Array:
    """`[sizes[0]] -> [sizes[-1]]`: dense layers with ELU between them, kernels times `masks` where given."""
    count = len(params) // 2
    for i in range(count):
        kernel = params[f"kernel{i}"] if masks is None else params[f"kernel{i}"] * masks[i]
        x = x @ kernel + params[f"bias{i}"]
        if i < count - 1:
            x = jax.nn.elu(x)
    return x


def made_masks(size: int, hidden: Sequence[int], outputs: int) -> list[np.ndarray]:
    """Masks of layers `[size] -> [outputs * size]`, block by block: element j of a block sees the inputs before j only.

    Source: MADE: Masked Autoencoder for Distribution Estimation, arXiv 1502.03509.
    """
    # A unit of degree m sees the inputs 0..m-1, and output j the units of degree up to j.
    degrees = [np.arange(1, size + 1)]
    degrees += [1 + np.arange(width) % max(size - 1, 1) for width in hidden]
    masks = [after[None, :] >= before[:, None] for before, after in itertools.pairwise(degrees)]
    masks.append(np.tile(np.arange(size), outputs)[None, :] >= degrees[-1][:, None])
    return [mask.astype(np.float32) for mask in masks]


def made(params: Layers, x: Array) -> Array:
    """`[d] -> [outputs, d]`: column j of the result depends on `x[:j]` alone. `params`: of `init_layers`."""
    count = len(params) // 2
    size = x.size
    hidden = [params[f"bias{i}"].size for i in range(count - 1)]
    outputs = params[f"bias{count - 1}"].size // size
    return dense(params, x, made_masks(size, hidden, outputs)).reshape(outputs, size)


# No layer of a flow scales by more than e² or less than e⁻².
_MOST_LOG_SCALE = 2.0


def _bounded(raw: Array) -> Array:
    return _MOST_LOG_SCALE * jnp.tanh(raw / _MOST_LOG_SCALE)


def masked_affine(params: Layers, z: Array) -> tuple[Array, Array]:
    """`(shift [d], log_scale [d])` for `AutoregressiveAffine`; the last layer of `params` has 2d outputs."""
    shift, raw = made(params, z)
    return shift, _bounded(raw)


def affine(params: Layers, fixed: Array) -> tuple[Array, Array]:
    """`(shift, log_scale)` for `AffineCoupling`."""
    shift, raw = jnp.split(dense(params, fixed), 2)
    return shift, _bounded(raw)


def spline_pieces(params: Layers, fixed: Array, *, size: int) -> Array:
    """`[size, 3K − 1]` for `SplineCoupling`."""
    return dense(params, fixed).reshape(size, -1)
