"""Bijections of a vector, a file for each kind, and those that compose others. Imports core alone."""

from vae_jax.bijections.autoregressive import AutoregressiveAffine
from vae_jax.bijections.bijection import Bijection, Composed, Inverse, Permute, Reverse, Stacked, permute
from vae_jax.bijections.coupling import AffineCoupling, SplineCoupling
from vae_jax.bijections.planar import Planar
from vae_jax.bijections.radial import Radial

__all__ = [
    "AffineCoupling",
    "AutoregressiveAffine",
    "Bijection",
    "Composed",
    "Inverse",
    "Permute",
    "Planar",
    "Radial",
    "Reverse",
    "SplineCoupling",
    "Stacked",
    "permute",
]
