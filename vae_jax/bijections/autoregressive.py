"""The autoregressive layer: each coordinate is scaled and shifted by functions of those before it."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.types import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class AutoregressiveAffine:
    """`y_j = shift_j(z_<j) + exp(log_scale_j(z_<j)) z_j`: the step of an inverse autoregressive flow.

    `conditioner`: `z [d] -> (shift [d], log_scale [d])`, masked. `forward` evaluates it once, `inverse` d + 1 times.
    `Inverse(AutoregressiveAffine(…))` is the masked autoregressive flow, whose density takes one evaluation.

    Source: Improved Variational Inference with Inverse Autoregressive Flow, arXiv 1606.04934; Masked
    Autoregressive Flow, arXiv 1705.07057.
    """

    conditioner: Callable[[Array], tuple[Array, Array]]

    def _conditioned(self, z: Array) -> tuple[Array, Array]:
        shift, log_scale = self.conditioner(z)
        # One scale for all counts once for each.
        return shift, jnp.broadcast_to(log_scale, z.shape)

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        shift, log_scale = self._conditioned(z)
        return shift + jnp.exp(log_scale) * z, jnp.sum(log_scale)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`: after n evaluations the first n coordinates are exact."""

        def refine(z: Array, _: None) -> tuple[Array, None]:
            shift, log_scale = self._conditioned(z)
            # A network of wider numbers makes no wider code.
            return ((y - shift) * jnp.exp(-log_scale)).astype(y.dtype), None

        z, _ = lax.scan(refine, jnp.zeros_like(y), None, length=y.size)
        return z, -jnp.sum(self._conditioned(z)[1])

    def solve_transposed(self, z: Array, gradient: Array) -> Array:
        """`J(z)⁻ᵀ gradient` by Jacobi iteration: exact after d sweeps, mostly exact to rounding after a few."""
        scale = jnp.exp(self._conditioned(z)[1])
        y, transposed = jax.vjp(lambda z: self.forward(z)[0], z)
        gradient = gradient.astype(y.dtype)
        tolerance = 1e-6 * jnp.max(jnp.abs(gradient / scale))

        def unfinished(state: tuple[Array, Array, Array]) -> Array:
            _, change, sweep = state
            return (change > tolerance) & (sweep < z.size)

        def sweep(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            solution, _, number = state
            better = solution + (gradient - transposed(solution)[0]) / scale
            return better, jnp.max(jnp.abs(better - solution)), number + 1

        start = (gradient / scale, jnp.maximum(tolerance, jnp.inf), jnp.asarray(0))
        return lax.while_loop(unfinished, sweep, start)[0]
