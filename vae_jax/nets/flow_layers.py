"""The layers of flows with networks inside, by name: autoregressive layers and couplings."""

import functools
from collections.abc import Callable, Sequence

import jax
from jax.tree_util import Partial

from vae_jax.bijections.autoregressive import AutoregressiveAffine
from vae_jax.bijections.bijection import Bijection, Composed, Reverse
from vae_jax.bijections.coupling import AffineCoupling, SplineCoupling
from vae_jax.core.types import Array, Key
from vae_jax.nets.conditioners import Layers, affine, init_layers, masked_affine, spline_pieces

# Pieces of the splines.
_PIECES = 8

# Maps the parameters of a layer to its bijection.
_Make = Callable[[Layers], Bijection]


def stacked_layers(key: Key, layers: int, sizes: Sequence[int]) -> Layers:
    """Parameters of `layers` networks of `sizes`, stacked `[layers, …]`."""
    return jax.vmap(lambda key: init_layers(key, sizes))(jax.random.split(key, layers))


def autoregressive_flow(size: int, hidden: Sequence[int]) -> tuple[list[int], _Make]:
    """Sizes of the conditioner of an autoregressive layer, and `parameters -> layer`, which then reverses the order."""
    sizes = [size, *hidden, 2 * size]
    return sizes, lambda p: Composed((AutoregressiveAffine(Partial(masked_affine, p)), Reverse()))


def coupling_flow(size: int, hidden: Sequence[int]) -> tuple[list[int], _Make]:
    """As `autoregressive_flow`, with an affine coupling."""
    fixed = size // 2
    sizes = [fixed, *hidden, 2 * (size - fixed)]
    return sizes, lambda p: Composed((AffineCoupling(Partial(affine, p)), Reverse()))


def spline_flow(size: int, hidden: Sequence[int]) -> tuple[list[int], _Make]:
    """As `autoregressive_flow`, with a spline coupling."""
    free = size - size // 2
    pieces = _spline_pieces(free)
    sizes = [size - free, *hidden, free * (3 * _PIECES - 1)]
    return sizes, lambda p: Composed((SplineCoupling(Partial(pieces, p)), Reverse()))


@functools.cache
def _spline_pieces(free: int) -> Callable[..., Array]:
    # One object for each size: two equal partials would make pytrees of different structure.
    return functools.partial(spline_pieces, size=free)


FLOWS: dict[str, Callable[[int, Sequence[int]], tuple[list[int], _Make]]] = {
    "iaf": autoregressive_flow,
    "coupling": coupling_flow,
    "spline": spline_flow,
}
