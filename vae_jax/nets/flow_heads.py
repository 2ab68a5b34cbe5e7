"""Posterior heads: a diagonal normal pushed through a flow that depends on x.

Planar and radial layers are outputs of the encoder and start near the identity. The other flows have networks inside,
to whose first biases the encoder adds; they start as the identity, up to the order of the coordinates. With a `base`
that one is pushed through, instead of a normal of the features.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.bijections.bijection import Stacked
from vae_jax.bijections.planar import Planar
from vae_jax.bijections.radial import Radial
from vae_jax.core.types import Array
from vae_jax.distributions import Distribution
from vae_jax.flows import Transformed
from vae_jax.nets.flow_layers import FLOWS, stacked_layers
from vae_jax.nets.posteriors import DiagNormalHead


def _small(out: Array) -> Array:
    """Outputs that start near zero, so that a layer starts near the identity."""
    return 0.1 * out


class PlanarHead(nn.Module):
    """A diagonal normal through planar layers that the encoder gives: `[h] -> Transformed` of `[size]`."""

    size: int
    layers: int

    @nn.compact
    def __call__(self, features: Array, base: Distribution | None = None) -> Transformed:
        out = _small(nn.Dense(self.layers * (2 * self.size + 1))(features)).reshape(self.layers, -1)
        u, w, b = jnp.split(out, [self.size, 2 * self.size], axis=1)
        # With w and b near zero the layer would have next to no gradient in u, so w starts as a direction.
        directions = self.param("directions", nn.initializers.orthogonal(), (self.layers, self.size))
        # w · û = softplus(w · u) − 1 is zero where w · u is log(e − 1), so u starts there.
        base = DiagNormalHead(self.size)(features) if base is None else base
        w = w + directions
        start = jnp.log(jnp.expm1(1.0)) * w / jnp.sum(jnp.square(w), axis=1, keepdims=True)
        return Transformed(base, Stacked(Planar(u + start, w, b[:, 0])))


class RadialHead(nn.Module):
    """A diagonal normal through radial layers that the encoder gives: `[h] -> Transformed` of `[size]`."""

    size: int
    layers: int

    @nn.compact
    def __call__(self, features: Array, base: Distribution | None = None) -> Transformed:
        out = nn.Dense(self.layers * (self.size + 2))(features).reshape(self.layers, -1)
        centre, log_alpha, beta = jnp.split(out, [self.size, self.size + 1], axis=1)
        # softplus(beta) = α is the identity; α starts at 1.
        start = jnp.log(jnp.expm1(1.0))
        layer = Radial(centre, _small(log_alpha[:, 0]), start + _small(beta[:, 0]))
        return Transformed(DiagNormalHead(self.size)(features) if base is None else base, Stacked(layer))


class FlowHead(nn.Module):
    """A diagonal normal through `layers` layers with networks inside: `[h] -> Transformed` of `[size]`.

    `kind`: a name in `FLOWS`. All x share the weights of the networks; the encoder adds to their first biases.
    """

    size: int
    layers: int
    hidden: Sequence[int]
    kind: str

    @nn.compact
    def __call__(self, features: Array, base: Distribution | None = None) -> Transformed:
        sizes, make = FLOWS[self.kind](self.size, self.hidden)
        params = self.param("flow", lambda key: stacked_layers(key, self.layers, sizes))
        context = nn.Dense(self.layers * sizes[1], use_bias=False)(features).reshape(self.layers, sizes[1])
        layers = make({**params, "bias0": params["bias0"] + context})
        return Transformed(DiagNormalHead(self.size)(features) if base is None else base, Stacked(layers))
