"""The table of bijections of three dimensions: every property test of flows runs over every row."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.bijections.autoregressive import AutoregressiveAffine
from vae_jax.bijections.bijection import Composed, Inverse, Reverse, Stacked, permute
from vae_jax.bijections.coupling import AffineCoupling, SplineCoupling
from vae_jax.bijections.planar import Planar
from vae_jax.bijections.radial import Radial
from vae_jax.nets.conditioners import affine, init_layers, masked_affine, spline_pieces

SIZE = 3


@functools.partial(jax.jit, static_argnames="sizes")
def somewhere(seed: int, sizes: tuple[int, ...]) -> Any:
    """Parameters of a conditioner away from its start, the identity."""
    params = init_layers(jax.random.key(seed), sizes)
    keys = jax.random.split(jax.random.key(seed + 100), len(params))
    return {
        name: leaf + 0.4 * jax.random.normal(key, leaf.shape)
        for key, (name, leaf) in zip(keys, params.items(), strict=True)
    }


def planar(seed: int) -> Planar:
    """A planar layer that bends much; the first seed's u must be moved to make it invertible."""
    u, w = jax.random.normal(jax.random.key(seed), (2, SIZE))
    return Planar(-2.0 * w + u if seed == 0 else u, w, jnp.array(0.3))


def iaf(seed: int) -> AutoregressiveAffine:
    """An autoregressive layer, away from the identity."""
    return AutoregressiveAffine(Partial(masked_affine, somewhere(seed, (SIZE, 6, 2 * SIZE))))


def stacked(*layers: Any) -> Stacked:
    """Equal layers as one scan."""
    return Stacked(jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers))


_PIECES = functools.partial(spline_pieces, size=2)

BIJECTIONS: dict[str, Any] = {
    "Planar": planar(0),
    "Radial, contracting": Radial(jnp.array([0.4, -0.3, 0.1]), jnp.array(-0.2), jnp.array(-1.5)),
    "Radial, expanding": Radial(jnp.array([0.4, -0.3, 0.1]), jnp.array(-0.2), jnp.array(2.5)),
    "AutoregressiveAffine": iaf(1),
    "Inverse": Inverse(iaf(1)),
    "AffineCoupling": AffineCoupling(Partial(affine, somewhere(2, (1, 6, 4)))),
    "SplineCoupling": SplineCoupling(Partial(_PIECES, somewhere(3, (1, 6, 2 * 11))), bound=2.5),
    "Composed": Composed((planar(4), iaf(5), permute([2, 0, 1]))),
    "Stacked": stacked(*(Composed((iaf(i), Reverse())) for i in (6, 7))),
}
