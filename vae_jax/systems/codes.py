"""The codes of a batch, for terms that are of a batch."""

from typing import Any

import jax
import numpy as np

from vae_jax.distributions import Array, Key
from vae_jax.model import VAE, Autoencoder, Params

# Keys of examples are split from that of the step; what is folded in here is apart from them.
_PRIOR_STREAM = 0x7072696F


def batch_codes(coder: VAE | Autoencoder, params: Params, key: Key, x: Any) -> Array:
    """`[B, d]`: a draw of q(z | x) for each example of `x` `[B, …]`; with the key of a loss, the draws it makes itself.

    XLA encodes once for both, but goes back through the encoder twice: about a third more arithmetic in a step.
    """
    size = jax.tree.leaves(x)[0].shape[0]

    def one(key: Key, x: Any) -> Array:
        # As `elbo_terms` draws with one sample.
        return coder.encode(params, x).sample(jax.random.fold_in(key, 0))

    return jax.vmap(one)(jax.random.split(key, size), x).reshape(size, -1)


def prior_codes(vae: VAE, params: Params, key: Key, count: int) -> Array:
    """`[count, d]`: draws of the prior, from a stream of their own."""
    stream = jax.random.fold_in(key, np.uint32(_PRIOR_STREAM))
    return vae.prior(params).sample(stream, (count,)).reshape(count, -1)
