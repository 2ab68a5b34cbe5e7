"""A VAE from networks: one stochastic layer, or several above one another.

    q(z | x) = q(z1 | x) q(z2 | z1) …,    p(x, z) = p(zL) … p(z1 | z2) p(x | z1)

The parameters are a dict: `encoder` and `decoder` of the lowest layer, `encoder2` and `decoder2` of the second, …
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.types import Array, Key, Params
from vae_jax.distributions.hierarchy import bottom_up, top_down
from vae_jax.models.vae import VAE
from vae_jax.nets.adapters import from_linen, linen_apply
from vae_jax.nets.mlp import MLP
from vae_jax.nets.posteriors import DiagNormalHead
from vae_jax.nets.priors import Prior, normal


class StochasticLayer(NamedTuple):
    """`encoder` maps what is below, x or the z of a lower layer, to q(z | below). `decoder` maps z to p(below | z).

    z is `[latent_size]`, or one-hot choices `[latent_size, classes]`.
    """

    encoder: nn.Module
    decoder: nn.Module
    latent_size: int
    classes: int | None = None

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of z."""
        return (self.latent_size,) if self.classes is None else (self.latent_size, self.classes)


def between(
    below: int, above: int, *, hidden: Sequence[int], activation: Callable[[Array], Array]
) -> tuple[nn.Module, nn.Module]:
    """The networks of q(z2 | z1) and p(z1 | z2) between two stochastic layers, both with a diagonal covariance."""
    encoder = nn.Sequential([MLP(hidden, activation), DiagNormalHead(above)])
    decoder = nn.Sequential([MLP(hidden[::-1], activation), DiagNormalHead(below)])
    return encoder, decoder


def _names(num_layers: int) -> list[tuple[str, str]]:
    return [(f"encoder{i or ''}", f"decoder{i or ''}") for i in (0, *range(2, num_layers + 1))]


def layered_vae(layers: Sequence[StochasticLayer], prior: Prior | None = None) -> VAE:
    """The model of stochastic layers, the lowest first; the highest has the given prior, by default N(0, I).

    With one layer z is an array `[d]`; with more it is a tuple of them, the lowest first.
    """
    encoders = [linen_apply(layer.encoder) for layer in layers]
    decoders = [linen_apply(layer.decoder) for layer in layers]
    names = _names(len(layers))
    highest = prior or normal(layers[-1].latent_size)

    def prior_of_highest(params: Params) -> Any:
        # A prior without parameters adds nothing to `params`.
        return highest.value(params.get("prior", {}), lambda x: encoders[0](params["encoder"], x))

    if len(layers) == 1:
        return VAE(
            encode=lambda params, x: encoders[0](params["encoder"], x),
            decode=lambda params, z: decoders[0](params["decoder"], z),
            prior=prior_of_highest,
        )

    def encode(params: Params, x: Array) -> Any:
        upper = [Partial(apply, params[name]) for apply, (name, _) in zip(encoders[1:], names[1:], strict=True)]
        return bottom_up(encoders[0](params["encoder"], x), *upper)

    def prior_of_all(params: Params) -> Any:
        lower = [Partial(apply, params[name]) for apply, (_, name) in zip(decoders[1:], names[1:], strict=True)]
        return top_down(prior_of_highest(params), *reversed(lower))

    return VAE(encode=encode, decode=lambda params, z: decoders[0](params["decoder"], z[0]), prior=prior_of_all)


def layered_init(
    layers: Sequence[StochasticLayer], prior: Prior | None = None
) -> Callable[[Key, dict[str, Any]], Params]:
    """`(key, batch) -> params` of `layered_vae` with the same arguments; the batch is a dict with `x`, `[B, …]`."""

    def init(key: Key, batch: dict[str, Any]) -> Params:
        below = jax.tree.map(lambda leaf: leaf[0], batch["x"])
        params = {}
        keys = jax.random.split(key, 2 * len(layers))
        for i, (layer, (encoder, decoder)) in enumerate(zip(layers, _names(len(layers)), strict=True)):
            z = jnp.zeros(layer.latent_shape)
            params[encoder] = from_linen(layer.encoder, keys[2 * i], below).params
            params[decoder] = from_linen(layer.decoder, keys[2 * i + 1], z).params
            below = z
        start = (prior or normal(layers[-1].latent_size)).init(jax.random.fold_in(key, 1))
        return params | ({"prior": start} if start else {})

    return init
