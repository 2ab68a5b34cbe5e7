"""Coupling layers: the first half of a vector stays, and the other half is moved by functions of the first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class AffineCoupling:
    """The first ⌊d/2⌋ coordinates stay; the others become `shift + exp(log_scale) z`.

    `conditioner`: `[d // 2] -> (shift, log_scale)`, both `[d − d // 2]`. Both directions evaluate it once. ValueError
    for d < 2.

    Source: Density Estimation Using Real NVP, arXiv 1605.08803.
    """

    conditioner: Callable[[Array], tuple[Array, Array]]

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        fixed, free = _halves(z)
        shift, log_scale = self._conditioned(fixed, free)
        return jnp.concatenate([fixed, shift + jnp.exp(log_scale) * free]), jnp.sum(log_scale)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        fixed, free = _halves(y)
        shift, log_scale = self._conditioned(fixed, free)
        return jnp.concatenate([fixed, (free - shift) * jnp.exp(-log_scale)]), -jnp.sum(log_scale)

    def _conditioned(self, fixed: Array, free: Array) -> tuple[Array, Array]:
        shift, log_scale = self.conditioner(fixed)
        # One scale for all counts once for each.
        return shift, jnp.broadcast_to(log_scale, free.shape)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class SplineCoupling:
    """The first ⌊d/2⌋ coordinates stay; each of the others goes through a rational-quadratic spline of K pieces.

    `conditioner`: `[d // 2] -> [d − d // 2, 3K − 1]`: widths and heights of the pieces before a softmax, and the slopes
    between them. Outside of ±`bound` the spline is the identity. Both directions evaluate the conditioner once.

    Source: Neural Spline Flows, arXiv 1906.04032.
    """

    conditioner: Callable[[Array], Any]
    bound: float = field(default=4.0, metadata={"static": True})

    def forward(self, z: Array) -> tuple[Array, Array]:
        """`(y [d], log|det ∂y/∂z| [])`."""
        return self._apply(z, _spline)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """`(z [d], log|det ∂z/∂y| [])`."""
        return self._apply(y, _spline_inverse)

    def _apply(self, v: Array, curve: Callable[..., tuple[Array, Array]]) -> tuple[Array, Array]:
        fixed, free = _halves(v)
        inside = jnp.abs(free) < self.bound
        # Outside the pieces the formula has no root, and its gradient would be NaN even where it is not used.
        within = jnp.where(inside, free, 0.0)
        moved_within, log_slopes = jax.vmap(lambda v, raw: curve(v, *_knots(raw, self.bound)))(
            within, self.conditioner(fixed)
        )
        moved = jnp.where(inside, moved_within, free)
        return jnp.concatenate([fixed, moved]), jnp.sum(jnp.where(inside, log_slopes, 0.0))


def _halves(z: Array) -> tuple[Array, Array]:
    if jnp.ndim(z) != 1 or z.size < 2:
        raise ValueError(f"a coupling needs one vector of at least 2 dimensions, got shape {jnp.shape(z)}.")
    return z[: z.size // 2], z[z.size // 2 :]


# No piece of a spline is narrower than this share of an equal piece, and no slope is less than this.
_LEAST = 1e-2


def _knots(raw: Array, bound: float) -> tuple[Array, Array, Array]:
    """From `raw` `[3K − 1]`: knots x and y `[K + 1]`, from −bound to bound, and slopes `[K + 1]`, 1 at both ends."""
    pieces = (raw.size + 1) // 3
    widths, heights, slopes = jnp.split(raw, [pieces, 2 * pieces])

    def places(shares: Array) -> Array:
        shares = _LEAST / pieces + (1.0 - _LEAST) * jax.nn.softmax(shares)
        inner = bound * (2.0 * jnp.cumsum(shares)[:-1] - 1.0)
        return jnp.concatenate([jnp.full(1, -bound, inner.dtype), inner, jnp.full(1, bound, inner.dtype)])

    # A raw slope of zero is a slope of 1: then the spline of equal pieces is the identity.
    inner = _LEAST + (1.0 - _LEAST) * jax.nn.softplus(slopes) / jnp.log(2.0)
    end = jnp.ones(1, inner.dtype)
    return places(widths), places(heights), jnp.concatenate([end, inner, end])


def _piece(v: Array, knots: Array) -> Array:
    return jnp.clip(jnp.searchsorted(knots, v, side="right") - 1, 0, knots.size - 2)


def _between_0_and_1(share: Array) -> Array:
    """A share that rounding may have moved past an end. At the end itself a clip would halve its derivative."""
    return share + freeze(jnp.clip(share, 0.0, 1.0) - share)


def _spline(v: Array, x: Array, y: Array, slopes: Array) -> tuple[Array, Array]:
    """`(value, log of the slope)` at `v` of the spline through the knots."""
    i = _piece(v, x)
    width, height = x[i + 1] - x[i], y[i + 1] - y[i]
    share = _between_0_and_1((v - x[i]) / width)
    steep = height / width
    denominator = steep + (slopes[i + 1] + slopes[i] - 2.0 * steep) * share * (1.0 - share)
    value = y[i] + height * (steep * jnp.square(share) + slopes[i] * share * (1.0 - share)) / denominator
    return value, _log_slope(share, steep, slopes[i], slopes[i + 1], denominator)


def _spline_inverse(v: Array, x: Array, y: Array, slopes: Array) -> tuple[Array, Array]:
    """`(value, log of the slope)` at `v` of the inverse of the spline: the root of a quadratic."""
    i = _piece(v, y)
    width, height = x[i + 1] - x[i], y[i + 1] - y[i]
    steep = height / width
    bend = slopes[i + 1] + slopes[i] - 2.0 * steep
    rise = v - y[i]
    a = height * (steep - slopes[i]) + rise * bend
    b = height * slopes[i] - rise * bend
    c = -steep * rise
    # This form of the root does not cancel: b > 0, or the discriminant outweighs it.
    root = 2.0 * c / (-b - jnp.sqrt(jnp.maximum(jnp.square(b) - 4.0 * a * c, 0.0)))
    share = _between_0_and_1(root)
    denominator = steep + bend * share * (1.0 - share)
    return x[i] + share * width, -_log_slope(share, steep, slopes[i], slopes[i + 1], denominator)


def _log_slope(share: Array, steep: Array, left: Array, right: Array, denominator: Array) -> Array:
    rest = 1.0 - share
    numerator = right * jnp.square(share) + 2.0 * steep * share * rest + left * jnp.square(rest)
    return 2.0 * jnp.log(steep) + jnp.log(numerator) - 2.0 * jnp.log(denominator)
