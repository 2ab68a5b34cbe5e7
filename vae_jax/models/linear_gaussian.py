"""The linear-Gaussian model: a VAE with a closed form for every quantity, to check estimators against.

    p(z) = N(0, I),   p(x | z) = N(W z + b, σ² I)
    p(x) = N(b, W Wᵀ + σ² I),   p(z | x) = N(M⁻¹ Wᵀ (x − b), σ² M⁻¹),   M = Wᵀ W + σ² I

Source: Probabilistic Principal Component Analysis (Tipping and Bishop, 1999).
"""

from typing import NamedTuple

import jax.numpy as jnp

from vae_jax.core.checks import check_array
from vae_jax.core.types import Array
from vae_jax.distributions import DiagNormal, FullNormal, standard_normal
from vae_jax.models.vae import VAE


class Decoder(NamedTuple):
    """`weight` `[D, d]`, `bias` `[D]`, `scale` `[]` (the standard deviation of the noise)."""

    weight: Array
    bias: Array
    scale: Array


class Encoder(NamedTuple):
    """q(z | x) = N(weight x + bias, scale_tril scale_trilᵀ): `[d, D]`, `[d]`, `[d, d]`."""

    weight: Array
    bias: Array
    scale_tril: Array


class LinearGaussian(NamedTuple):
    """Parameters of `linear_gaussian`."""

    decoder: Decoder
    encoder: Encoder


def marginal(decoder: Decoder) -> FullNormal:
    """The exact p(x)."""
    dim = decoder.bias.shape[0]
    covariance = decoder.weight @ decoder.weight.T + jnp.square(decoder.scale) * jnp.eye(dim)
    return FullNormal(decoder.bias, jnp.linalg.cholesky(covariance))


def exact_encoder(decoder: Decoder) -> Encoder:
    """The encoder that gives the exact posterior p(z | x) for every x."""
    weight, variance = decoder.weight, jnp.square(decoder.scale)
    precision = weight.T @ weight + variance * jnp.eye(weight.shape[1])
    gain = jnp.linalg.solve(precision, weight.T)
    scale_tril = jnp.linalg.cholesky(variance * jnp.linalg.inv(precision))
    return Encoder(gain, -gain @ decoder.bias, scale_tril)


def em_step(decoder: Decoder, x: Array) -> Decoder:
    """The decoder after one step of expectation maximisation on `x` `[n, D]`.

    q(z | x) is the exact posterior of the decoder before, and the new one maximises the ELBO under it, over weight,
    bias and scale at once. The mean of log p(x) never falls, and it ends where principal component analysis does. The
    VAE is the same bound with both halves moved together, by gradients. ValueError unless x is `[n, D]`.

    Source: Probabilistic Principal Component Analysis (Tipping and Bishop, 1999), appendix B.
    """
    check_array("em_step", "x", x, rank=2)
    encoder = exact_encoder(decoder)
    codes = x @ encoder.weight.T + encoder.bias[None]
    # One more code, which is always 1, so that the bias is a column of the weight.
    codes = jnp.concatenate([codes, jnp.ones((len(x), 1))], axis=1)
    spread = jnp.pad(encoder.scale_tril @ encoder.scale_tril.T, (0, 1))
    moments = codes.T @ codes + len(x) * spread
    weight = jnp.linalg.solve(moments, codes.T @ x).T
    errors = jnp.square(x - codes @ weight.T).sum() + len(x) * jnp.sum((weight @ spread) * weight)
    return Decoder(weight[:, :-1], weight[:, -1], jnp.sqrt(errors / x.size))


def linear_gaussian() -> VAE:
    """The model as a `VAE` over `LinearGaussian` parameters, with a full-covariance posterior."""

    def encode(params: LinearGaussian, x: Array) -> FullNormal:
        return FullNormal(params.encoder.weight @ x + params.encoder.bias, params.encoder.scale_tril)

    def decode(params: LinearGaussian, z: Array) -> DiagNormal:
        return DiagNormal(params.decoder.weight @ z + params.decoder.bias, params.decoder.scale)

    return VAE(encode, decode, lambda params: standard_normal(params.decoder.weight.shape[1]))
