"""Points in latent space: the most probable code, and grids for pictures."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.checks import check_count
from vae_jax.distributions import Array, PyTree
from vae_jax.model import VAE, Params


class MapLatent(NamedTuple):
    """A maximum of `log p(x, z)` over z: the code, and the log-density there (nats)."""

    z: Any
    log_joint: Array


def map_latent(vae: VAE, params: Params, x: PyTree, z: PyTree, *, num_steps: int = 100) -> MapLatent:
    """MAP z by gradient: `argmax_z log p(x | z) + log p(z)`, by L-BFGS from the start `z`.

    The encoder is not asked; its mean is a good start. Local: it finds a maximum uphill of the start. One example;
    `vmap` for many.
    """
    check_count("map_latent", "num_steps", num_steps)
    import optax  # only here: somebody who composes a bound does not pay for it

    prior = vae.prior(params)

    def loss(z: PyTree) -> Array:
        return -(prior.log_prob(z) + vae.decode(params, z).log_prob(x))

    optimizer = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(_: Any, carry: tuple[PyTree, Any]) -> tuple[PyTree, Any]:
        z, state = carry
        value, gradient = value_and_grad(z, state=state)
        updates, state = optimizer.update(gradient, state, z, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(z, updates), state

    z, _ = jax.lax.fori_loop(0, num_steps, step, (z, optimizer.init(z)))
    return MapLatent(z, -loss(z))


def manifold_grid(num: int, *, tail: float = 0.02) -> Array:
    """`[num, num, 2]`: codes at equal steps of probability, through the inverse normal CDF.

    Row 0 is the top of a picture (largest second coordinate). `tail` is the probability left outside at each
    end. Source: Auto-Encoding Variational Bayes, arXiv 1312.6114, appendix A.
    """
    check_count("manifold_grid", "num", num)
    ticks = jax.scipy.stats.norm.ppf(jnp.linspace(tail, 1.0 - tail, num))
    first, second = jnp.meshgrid(ticks, ticks[::-1])
    return jnp.stack([first, second], axis=-1)


def interpolate(start: Array, end: Array, num: int) -> Array:
    """`[num, d]`: equal steps on the straight line from `start` to `end`, both `[d]`, ends included."""
    check_count("interpolate", "num", num)
    weight = jnp.linspace(0.0, 1.0, num)[:, None]
    return (1.0 - weight) * start[None] + weight * end[None]
