"""Networks in Flax Linen, as (encoder, decoder) pairs, and adapters. Imports data, and the mathematics above it."""

from vae_jax.nets.adapters import Network, from_equinox, from_linen, from_nnx, linen_apply
from vae_jax.nets.conv import conv
from vae_jax.nets.mlp import mlp
from vae_jax.nets.nnx_mlp import NnxMLP

__all__ = ["Network", "NnxMLP", "conv", "from_equinox", "from_linen", "from_nnx", "linen_apply", "mlp"]
