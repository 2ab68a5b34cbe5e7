"""Networks in Flax Linen, as (encoder, decoder) pairs, and adapters. Imports data, and the mathematics above it."""

from typing import TYPE_CHECKING, Any

from vae_jax.nets.adapters import Network, from_equinox, from_linen, from_nnx, linen_apply
from vae_jax.nets.conv import conv
from vae_jax.nets.mlp import mlp

if TYPE_CHECKING:
    from vae_jax.nets.nnx_mlp import NnxMLP

__all__ = ["Network", "NnxMLP", "conv", "from_equinox", "from_linen", "from_nnx", "linen_apply", "mlp"]


def __getattr__(name: str) -> Any:
    # NNX takes long to load, and is for those who ask for it.
    if name == "NnxMLP":
        from vae_jax.nets.nnx_mlp import NnxMLP

        return NnxMLP
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
