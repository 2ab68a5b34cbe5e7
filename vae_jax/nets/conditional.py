"""Networks that take a condition beside their input."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae_jax.core.types import Array, Key, Params
from vae_jax.models.vae import VAE
from vae_jax.nets.adapters import from_linen
from vae_jax.nets.priors import Prior

# Maps a condition `[c]` to the model of x under it.
Given = Callable[[Array], VAE]


class ConditionalEncoder(nn.Module):
    """`(x, y [c]) -> q(z | x, y)`: features of x and y side by side, one dense layer on both, the head.

    Under a `vmap` over y alone the features are computed once.
    """

    trunk: nn.Module
    head: nn.Module
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Any, y: Array) -> Any:
        features = self.trunk(x)
        joint = nn.Dense(features.shape[0])(jnp.concatenate([features, y]))
        return self.head(self.activation(joint))


class Conditional(NamedTuple):
    """`given(y)` is the model of x under a condition; `init(key, x, y)` gives its initial parameters."""

    given: Given
    init: Callable[[Key, Any, Array], Params]


def conditional(
    encoder: nn.Sequential,
    decoder: nn.Module,
    prior: Prior,
    *,
    latent_size: int,
    condition_size: int,
    activation: Callable[[Array], Array],
) -> Conditional:
    """Make two networks conditional. `encoder`: a trunk and, last, a head; `decoder` takes z and y as one vector.

    z is a vector `[latent_size]`, y a vector `[condition_size]`. The prior does not depend on y.
    """
    *trunk, head = encoder.layers
    # Linen binds a module to one parent: its layers go to the new encoder as copies.
    encode = ConditionalEncoder(nn.Sequential([layer.clone() for layer in trunk]), head.clone(), activation)  # pyright: ignore

    def given(y: Array) -> VAE:
        if jnp.shape(y) != (condition_size,):
            raise ValueError(
                f"given: the model was made for a condition of shape ({condition_size},), got {jnp.shape(y)}. For a "
                "batch of conditions: jax.vmap; for a class: jax.nn.one_hot."
            )
        return VAE(
            encode=lambda params, x: encode.apply({"params": params["encoder"]}, x, y),
            decode=lambda params, z: decoder.apply({"params": params["decoder"]}, jnp.concatenate([z, y])),
            prior=lambda params: prior.value(params.get("prior", {}), _no_encoder),
        )

    def init(key: Key, x: Any, y: Array) -> Params:
        encoder_key, decoder_key, prior_key = jax.random.split(key, 3)
        params = {
            "encoder": encode.init(encoder_key, x, y)["params"],
            "decoder": from_linen(decoder, decoder_key, jnp.zeros(latent_size + y.shape[0])).params,
        }
        start = prior.init(prior_key)
        return params | ({"prior": start} if start else {})

    return Conditional(given, init)


def _no_encoder(x: Any) -> Any:
    raise ValueError("a prior made of the encoder (vamp) needs a condition, which a conditional model has not at hand.")
