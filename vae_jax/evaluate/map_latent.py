"""The most probable code of an example, found by gradient."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_count
from vae_jax.core.types import Array, Params, PyTree
from vae_jax.models.vae import VAE


class MapLatent(NamedTuple):
    """A maximum of `log p(x, z)` over z: the code, and the log-density there (nats)."""

    z: Any
    log_joint: Array


def map_latent(vae: VAE, params: Params, x: PyTree, z: PyTree, *, num_steps: int = 100) -> MapLatent:
    """The most probable z, `argmax_z log p(x | z) + log p(z)`, by `num_steps` of L-BFGS from the start `z`.

    z is `[d]`, the code of one example; `vmap` for many. The encoder is not used; its mean is a good start. The maximum
    is a local one, uphill of the start. ValueError for `num_steps < 1`.
    """
    check_count("map_latent", "num_steps", num_steps)
    # Imported here, so that `import vae_jax` does not load it.
    import optax

    prior = vae.prior(params)

    def loss(z: PyTree) -> Array:
        return -(prior.log_prob(z) + vae.decode(params, z).log_prob(x))

    # A search has one type, that of the wider of the two.
    kind = jnp.result_type(*jax.tree.leaves(z), jax.eval_shape(loss, z))
    z = jax.tree.map(lambda leaf: jnp.asarray(leaf, kind), z)
    optimizer = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(_: Any, carry: tuple[PyTree, Any]) -> tuple[PyTree, Any]:
        z, state = carry
        value, gradient = value_and_grad(z, state=state)
        updates, state = optimizer.update(gradient, state, z, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(z, updates), state

    z, _ = jax.lax.fori_loop(0, num_steps, step, (z, optimizer.init(z)))
    return MapLatent(z, -loss(z))
