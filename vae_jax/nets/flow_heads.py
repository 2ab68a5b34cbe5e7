"""Posterior heads that are flows, or that live on another space than the real line.

Every flow starts as the identity on a diagonal normal, and its layers know x: planar and radial layers are outputs
of the encoder, and the networks inside the others get what the encoder says as a bias of their first layer.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.bijections import AffineCoupling, AutoregressiveAffine, Planar, Radial, SplineCoupling
from vae_jax.distributions import (
    Array,
    Concrete,
    Key,
    OneHotCategorical,
    StraightThrough,
    VonMisesFisher,
)
from vae_jax.flows import Bijection, Composed, Reverse, Stacked, Transformed
from vae_jax.nets.conditioners import Layers, affine, init_layers, masked_affine, spline_pieces
from vae_jax.nets.heads import DiagNormalHead

# Pieces of the splines.
_PIECES = 8


def _small(out: Array) -> Array:
    """Outputs that start near zero, so that a layer starts near the identity."""
    return 0.1 * out


class PlanarHead(nn.Module):
    """A diagonal normal through planar layers of the encoder's making: `[h] -> Transformed` of `[size]`."""

    size: int
    layers: int

    @nn.compact
    def __call__(self, features: Array) -> Transformed:
        out = _small(nn.Dense(self.layers * (2 * self.size + 1))(features)).reshape(self.layers, -1)
        u, w, b = jnp.split(out, [self.size, 2 * self.size], axis=1)
        # û is zero where u is, and its gradient too where w is: w starts as a direction, u near none.
        directions = self.param("directions", nn.initializers.orthogonal(), (self.layers, self.size))
        # softplus(w · u) − 1 = w · û is zero at log(e − 1), not at 0: u starts there.
        base = DiagNormalHead(self.size)(features)
        w = w + directions
        start = jnp.log(jnp.expm1(1.0)) * w / jnp.sum(jnp.square(w), axis=1, keepdims=True)
        return Transformed(base, Stacked(Planar(u + start, w, b[:, 0])))


class RadialHead(nn.Module):
    """A diagonal normal through radial layers of the encoder's making: `[h] -> Transformed` of `[size]`."""

    size: int
    layers: int

    @nn.compact
    def __call__(self, features: Array) -> Transformed:
        out = nn.Dense(self.layers * (self.size + 2))(features).reshape(self.layers, -1)
        centre, log_alpha, beta = jnp.split(out, [self.size, self.size + 1], axis=1)
        # softplus(beta) = α is the identity; α starts at 1.
        start = jnp.log(jnp.expm1(1.0))
        layer = Radial(centre, _small(log_alpha[:, 0]), start + _small(beta[:, 0]))
        return Transformed(DiagNormalHead(self.size)(features), Stacked(layer))


# Parameters of `layers` conditioners, stacked; and one layer of parameters to a bijection.
_Make = Callable[[Layers], Bijection]


def stacked_layers(key: Key, layers: int, sizes: Sequence[int]) -> Layers:
    """Parameters of `layers` networks of `sizes`, stacked `[layers, …]`."""
    return jax.vmap(lambda key: init_layers(key, sizes))(jax.random.split(key, layers))


def autoregressive_flow(size: int, hidden: Sequence[int]) -> tuple[list[int], _Make]:
    """Sizes of the conditioner of one autoregressive layer, and that layer; the order is turned around after each."""
    sizes = [size, *hidden, 2 * size]
    return sizes, lambda p: Composed((AutoregressiveAffine(Partial(masked_affine, p)), Reverse()))


def coupling_flow(size: int, hidden: Sequence[int]) -> tuple[list[int], _Make]:
    """The same of an affine coupling."""
    fixed = size // 2
    sizes = [fixed, *hidden, 2 * (size - fixed)]
    return sizes, lambda p: Composed((AffineCoupling(Partial(affine, p)), Reverse()))


def spline_flow(size: int, hidden: Sequence[int]) -> tuple[list[int], _Make]:
    """The same of a spline coupling."""
    free = size - size // 2
    pieces = _spline_pieces(free)
    sizes = [size - free, *hidden, free * (3 * _PIECES - 1)]
    return sizes, lambda p: Composed((SplineCoupling(Partial(pieces, p)), Reverse()))


@functools.cache
def _spline_pieces(free: int) -> Callable[..., Array]:
    # One object for each size: two equal partials would be two different kinds of pytree.
    return functools.partial(spline_pieces, size=free)


FLOWS: dict[str, Callable[[int, Sequence[int]], tuple[list[int], _Make]]] = {
    "iaf": autoregressive_flow,
    "coupling": coupling_flow,
    "spline": spline_flow,
}


class FlowHead(nn.Module):
    """A diagonal normal through `layers` layers with networks inside: `[h] -> Transformed` of `[size]`.

    `kind`: a name in `FLOWS`. The networks' weights are shared by all x; their first biases are the encoder's.
    """

    size: int
    layers: int
    hidden: Sequence[int]
    kind: str

    @nn.compact
    def __call__(self, features: Array) -> Transformed:
        sizes, make = FLOWS[self.kind](self.size, self.hidden)
        params = self.param("flow", lambda key: stacked_layers(key, self.layers, sizes))
        context = nn.Dense(self.layers * sizes[1], use_bias=False)(features).reshape(self.layers, sizes[1])
        layers = make({**params, "bias0": params["bias0"] + context})
        return Transformed(DiagNormalHead(self.size)(features), Stacked(layers))


class VonMisesFisherHead(nn.Module):
    """q(z | x) on the unit sphere: `[h] -> VonMisesFisher` of `[size]`."""

    size: int

    @nn.compact
    def __call__(self, features: Array) -> VonMisesFisher:
        out = nn.Dense(self.size + 1)(features)
        # Concentrations from 1 upwards: an encoder that says nothing starts broad.
        return VonMisesFisher(out[:-1], 1.0 + nn.softplus(out[-1] + self.size))


class ChoicesHead(nn.Module):
    """q(z | x) of `size` choices among `classes`: `[h] -> relaxed, straight-through or discrete`, `[size, classes]`."""

    size: int
    classes: int
    temperature: float
    kind: str

    @nn.compact
    def __call__(self, features: Array) -> Any:
        logits = nn.Dense(self.size * self.classes)(features).reshape(self.size, self.classes)
        if self.kind == "categorical":
            return OneHotCategorical(logits)
        relaxed = Concrete(logits, jnp.asarray(self.temperature))
        return StraightThrough(relaxed) if self.kind == "straight_through" else relaxed
