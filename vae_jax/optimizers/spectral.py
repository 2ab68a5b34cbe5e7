"""The largest singular values of kernels, pressed down: layers that hardly enlarge their input keep deep models stable.

NVAE: A Deep Hierarchical Variational Autoencoder, arXiv 2007.03898. They are followed by the power iteration of
Spectral Normalization for Generative Adversarial Networks, arXiv 1802.05957.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import tree_map_with_path


def spectral_decay(weight: float | jax.Array) -> optax.GradientTransformation:
    """Add the gradient of `weight` times the sum of the largest singular values of all kernels.

    A kernel is an array of that name, as dense and convolutional layers of Flax have (flows do not); its last axis
    counts the outputs, and the others together the inputs. The gradient of its largest singular value is u vᵀ, of the
    unit vectors u and v that belong to it. Each training step is a step of their iteration too, so they follow the
    kernel as it moves. ValueError where no array is a kernel.
    """

    def init(params: Any) -> Any:
        state = tree_map_with_path(_first, params)
        if not any(v.size for v in jax.tree.leaves(state)):
            raise ValueError(
                "spectral_decay presses down arrays called kernel, as layers of Flax have, and the parameters hold "
                "none: leave it out (--spectral-weight None), or name them so."
            )
        return state

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("spectral_decay needs the parameters: update(updates, state, params).")
        # A kernel of zeros has no direction: u is 0 then, and v stays.
        left = jax.tree.map(lambda kernel, v: _unit(_matrix(kernel) @ v) if v.size else v, params, state)
        right = jax.tree.map(
            lambda kernel, u, v: jnp.where(u.any(), _unit(_matrix(kernel).T @ u), v) if v.size else v,
            params,
            left,
            state,
        )
        added = jax.tree.map(
            lambda change, u, v: change + weight * jnp.outer(u, v).reshape(change.shape) if v.size else change,
            updates,
            left,
            right,
        )
        return added, right

    return optax.GradientTransformation(init, update)


def _first(path: Any, leaf: Any) -> jax.Array:
    """The v to begin with: a unit vector in no special direction; of arrays that are no kernels an empty one."""
    names = [getattr(part, "key", getattr(part, "name", None)) for part in path]
    if leaf.ndim < 2 or "kernel" not in names:
        return jnp.zeros(0, leaf.dtype)
    return _unit(jax.random.normal(jax.random.key(0), leaf.shape[-1:], leaf.dtype))


def _matrix(kernel: jax.Array) -> jax.Array:
    return kernel.reshape(-1, kernel.shape[-1])


def _unit(vector: jax.Array) -> jax.Array:
    """The vector with the length 1, also where its squares are too small for a float; of zeros, zeros."""
    tiny = jnp.finfo(vector.dtype).tiny
    scaled = vector / jnp.maximum(jnp.max(jnp.abs(vector)), tiny)
    return scaled / jnp.maximum(jnp.linalg.norm(scaled), tiny)
