"""Penalties Ω(h, x) that make an autoencoder learn more than the identity.

A penalty is `(encode, codes, x) -> scalar` over a batch: `encode` maps one example to its code, and `codes` `[B, d]`
are the codes of `x` `[B, …]`. The encoder is an argument because the contractive penalty differentiates it.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.trees import widened
from vae_jax.core.types import Array

Penalty = Callable[[Callable[[Any], Array], Array, Any], Array]


def none(encode: Callable[[Any], Array], codes: Array, x: Any) -> Array:
    """No penalty: 0."""
    del encode, codes, x
    return jnp.zeros(())


def l1(encode: Callable[[Any], Array], codes: Array, x: Any) -> Array:
    """`mean_B Σ_j |h_j|`: sparse codes, as under a Laplace prior."""
    del encode, x
    return jnp.mean(jnp.sum(jnp.abs(_checked("l1", codes)), axis=1))


def kl_sparsity(target: float | Array) -> Penalty:
    """`Σ_j KL(Bernoulli(ρ) ‖ Bernoulli(ρ̂_j))`, nats, for codes in 0..1: unit j is on for a share `target` of the data.

    ρ̂_j is the mean of h_j over the batch, so this is a term of a batch, not of an example. ValueError for a batch of
    one, whose mean says nothing.

    Source: Sparse deep belief net model for visual area V2 (Lee et al., NeurIPS 2007); Sparse autoencoder (Ng, 2011).
    """

    def penalty(encode: Callable[[Any], Array], codes: Array, x: Any) -> Array:
        del encode, x
        if _checked("kl_sparsity", codes).shape[0] < 2:
            raise ValueError("kl_sparsity: a mean activation needs a batch of at least 2 examples, got 1.")
        # In float32 a unit that is always on has a mean of exactly 1.
        activity = jnp.clip(jnp.mean(widened(codes), axis=0), 1e-6, 1.0 - 1e-6)
        on = target * (jnp.log(target) - jnp.log(activity))
        off = (1.0 - target) * (jnp.log1p(-jnp.asarray(target)) - jnp.log1p(-activity))
        return jnp.sum(on + off)

    return penalty


def contractive(encode: Callable[[Any], Array], codes: Array, x: Any) -> Array:
    """`mean_B ‖∂h/∂x‖²_F`, exact: one backward pass of the encoder for each dimension of the code.

    Source: Contractive Auto-Encoders (Rifai et al., ICML 2011).
    """
    del codes

    def squared_norm(x: Any) -> Array:
        return sum((jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(jax.jacrev(encode)(x))), start=jnp.zeros(()))

    return jnp.mean(jax.vmap(squared_norm)(x))


def _checked(name: str, codes: Array) -> Array:
    if jnp.ndim(codes) != 2:
        raise ValueError(f"{name}: codes must have shape (B, d), got {jnp.shape(codes)}.")
    return codes
