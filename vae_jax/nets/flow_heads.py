"""Posterior heads that are flows on a diagonal normal.

Every flow starts as the identity on a diagonal normal, and its layers know x: planar and radial layers are outputs
of the encoder, and the networks inside the others get what the encoder says as a bias of their first layer.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from vae_jax.bijections.bijection import Stacked
from vae_jax.bijections.planar import Planar
from vae_jax.bijections.radial import Radial
from vae_jax.core.types import Array
from vae_jax.flows import Transformed
from vae_jax.nets.flow_layers import FLOWS, stacked_layers
from vae_jax.nets.posteriors import DiagNormalHead


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
