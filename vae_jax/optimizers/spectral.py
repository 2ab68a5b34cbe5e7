"""The largest singular values of kernels, pressed down: layers that hardly enlarge their input keep deep models stable.

NVAE: A Deep Hierarchical Variational Autoencoder, arXiv 2007.03898. They are followed by the power iteration of
Spectral Normalization for Generative Adversarial Networks, arXiv 1802.05957.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from vae_jax.core.trees import by_name


def spectral_decay(weight: float | jax.Array) -> optax.GradientTransformation:
    """Add the gradient of `weight` times the sum of the largest singular values of all kernels.

    A kernel is an array of that name, as dense and convolutional layers of Flax have (flows do not); its last axis
    counts the outputs, and the others together the inputs. The gradient of its largest singular value is u vᵀ, of the
    unit vectors u and v that belong to it. Each training step is a step of their iteration too, so they follow the
    kernel as it moves. ValueError where no array is a kernel.
    """

    def init(params: Any) -> Any:
        vectors = [_first(kernel) for kernel in _kernels(params).values()]
        if not vectors:
            raise ValueError(
                "spectral_decay presses down arrays called kernel, as layers of Flax have, and the parameters hold "
                "none: leave it out (--spectral-weight None), or name them so."
            )
        return vectors

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        if params is None:
            raise ValueError("spectral_decay needs the parameters: update(updates, state, params).")
        added, vectors = by_name(updates), []
        for (name, kernel), v in zip(_kernels(params).items(), state, strict=True):
            matrix = kernel.reshape(-1, kernel.shape[-1])
            # A kernel of zeros has no direction: u is 0 then, and v stays.
            u = _unit(matrix @ v)
            v = jnp.where(u.any(), _unit(matrix.T @ u), v)
            added[name] = added[name] + weight * jnp.outer(u, v).reshape(kernel.shape)
            vectors.append(v)
        return jax.tree.unflatten(jax.tree.structure(updates), list(added.values())), vectors

    return optax.GradientTransformation(init, update)


def _kernels(params: Any) -> dict[str, jax.Array]:
    return {name: leaf for name, leaf in by_name(params).items() if leaf.ndim > 1 and "kernel" in name.split(".")}


def _first(kernel: jax.Array) -> jax.Array:
    """The v to begin with: a unit vector in no special direction."""
    return _unit(jax.random.normal(jax.random.key(0), kernel.shape[-1:], kernel.dtype))


def _unit(vector: jax.Array) -> jax.Array:
    """The vector with the length 1, also where its squares are too small for a float; of zeros, zeros."""
    tiny = jnp.finfo(vector.dtype).tiny
    scaled = vector / jnp.maximum(jnp.max(jnp.abs(vector)), tiny)
    return scaled / jnp.maximum(jnp.linalg.norm(scaled), tiny)
