"""The integral of exp(κ cos θ) over the unit sphere, from which all of von Mises and Fisher's distribution follows.

It is a Bessel function: `E exp(κ cos θ) = Γ(ν+1) (2/κ)^ν I_ν(κ)` over the uniform distribution in d dimensions,
ν = d/2 − 1. Where the order is 12 or more, Debye's expansion holds for every κ alike; lower orders follow from higher
ones by the recurrence of Bessel functions, whose terms are all positive in that direction. Each result is written
so that neither a small κ nor a large one costs its digits.

Source: NIST Digital Library of Mathematical Functions, 10.41 (expansion) and 10.29 (recurrence).
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
from numpy.polynomial import Polynomial

from vae_jax.core.types import Array
from vae_jax.distributions.remainders import series

# From this order on the error of four terms of the expansion is below 3e-7 of each result.
_ORDER = 12.0
# log I_n(n z) but for its leading terms is `Σ_k D_k(p) / n^k`, p = 1 / sqrt(1 + z²).
_DEBYE = (
    Polynomial([0.0, 1 / 8, 0.0, -5 / 24]),
    Polynomial([0.0, 0.0, 1 / 16, 0.0, -3 / 8, 0.0, 5 / 16]),
    Polynomial([0.0, 0.0, 0.0, 25 / 384, 0.0, -531 / 640, 0.0, 221 / 128, 0.0, -1105 / 1152]),
    Polynomial([0.0] * 4 + [13 / 128, 0.0, -71 / 32, 0.0, 531 / 64, 0.0, -339 / 32, 0.0, 565 / 128]),
)


class SphereIntegral(NamedTuple):
    """What follows from the integral, each of the shape of κ.

    `log_mean`: log E exp(κ (cos θ − 1)), nats. `cosine`: A = E_q[cos θ] under `q ∝ exp(κ cos θ)`. `gap`: 1 − A, with
    its own digits where A is near 1. `kl`: KL(q ‖ uniform) = κ A − log E exp(κ cos θ), nats; at small κ, κ² / 2d.
    """

    log_mean: Array
    cosine: Array
    gap: Array
    kl: Array


class _Order(NamedTuple):
    """The same at order n, and `lag` = n + ½ − κ (1 − A), which falls to 0 where κ is large."""

    log_mean: Array
    cosine: Array
    lag: Array
    kl: Array


def sphere_integral(concentration: Array, size: int) -> SphereIntegral:
    """The integral at κ = `concentration` > 0, of any shape, on the unit sphere of `size` dimensions."""
    kappa, order = jnp.asarray(concentration), 0.5 * size - 1.0
    steps = max(0, math.ceil(_ORDER - order))
    found = _of_high_order(kappa, order + steps)
    for step in range(steps, 0, -1):
        found = _of_the_order_below(kappa, order + step, found)
    near = found.cosine > 0.5
    gap = jnp.where(near, (order + 0.5 - found.lag) / kappa, 1.0 - found.cosine)
    return SphereIntegral(found.log_mean, jnp.where(near, 1.0 - gap, found.cosine), gap, found.kl)


def _of_high_order(kappa: Array, order: float) -> _Order:
    rest = sum((term / order**k for k, term in enumerate(_DEBYE, 1)), Polynomial([0.0]))
    # Taken apart by the factor 1 − p that both have, so that their digits stay where κ is small and p near 1.
    below = (rest - rest(1.0)) // Polynomial([1.0, -1.0])
    slope = -Polynomial([0.0, 1.0, 1.0]) * rest.deriv()

    z = kappa / order
    root = jnp.hypot(1.0, z)
    p, share = 1.0 / root, z / (1.0 + root)
    # sqrt(1 + z²) − 1, and 1 − p.
    above = z * share
    left = above * p
    # κ − n (sqrt(1 + z²) − 1).
    lead = kappa * (1.0 + 1.0 / (root + z)) / (1.0 + root)
    logs = order * jnp.log1p(0.5 * above) + 0.5 * jnp.log1p(above)
    bend, rest_below = 0.5 * (1.0 + p) - series(slope.coef, p), left * series(below.coef, p)
    return _Order(
        log_mean=rest_below - logs - lead,
        cosine=share * (1.0 - p * bend / order),
        lag=order / (root + z) + 0.5 * jnp.square(p) + left * series(slope.coef, p),
        kl=logs - rest_below - left * bend,
    )


def _of_the_order_below(kappa: Array, order: float, high: _Order) -> _Order:
    """Order n − 1 from order n: `I_{n−1} = I_{n+1} + (2n/κ) I_n`."""
    along, half = kappa * high.cosine, order - 0.5
    total = 2.0 * order + along
    grown = jnp.log1p(along / (2.0 * order))
    # κ times what the cosine grows by is κ² − 2nκA − κ²A² over the total: in the digits of A, or of 1 − A.
    far = kappa * (1.0 - high.cosine) * (kappa + along) - 2.0 * order * along
    gap = order + 0.5 - high.lag
    near = (order + 0.5) * gap + along - high.lag * (kappa + along)
    risen = jnp.where(high.cosine > 0.5, near, far) / total
    return _Order(
        log_mean=high.log_mean + grown,
        cosine=kappa / total,
        lag=(half * (half + high.lag) - kappa * high.lag) / total,
        kl=high.kl + risen - grown,
    )
