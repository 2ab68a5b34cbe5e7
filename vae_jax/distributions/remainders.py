"""What is left of functions when their leading terms are taken away, with all the digits of what is left.

Log-probabilities of counts are small differences of large numbers: at a count of a million, log v! is 1e7 and log p is
−8. Written with these remainders the large numbers never appear, and float32 is enough.

Source: Fast and Accurate Computation of Binomial Probabilities (Loader, 2000).
"""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array

# 1 / 2!, 1 / 3!, … of the exponential's series.
_SERIES = [1.0 / math.factorial(n) for n in range(2, 11)]
# log 2 as a number of few bits, whose products with small integers are exact, and what is left of it.
_LOG_2_HIGH, _LOG_2_LOW = 0.693359375, -2.121944400546905827679e-4
# From here on Stirling's series of three terms has all digits of float32.
_LARGE = 4.0


def series(terms: Sequence[float] | np.ndarray, x: Array) -> Array:
    """`terms[0] + terms[1] x + terms[2] x² + …`"""
    return jnp.polyval(jnp.asarray(terms[::-1], x.dtype), x)


def exp_remainder(u: Array) -> Array:
    """`exp u − 1 − u`, at least 0: u² / 2 where u is small."""
    small = jnp.abs(u) < 0.5
    near = jnp.where(small, u, 0.0)
    return jnp.where(small, jnp.square(near) * series(_SERIES, near), jnp.expm1(u) - u)


def stirling_remainder(x: Array) -> Array:
    """`log Γ(x + 1) − [(x + ½) log x − x + ½ log 2π]` for x > 0: 1 / 12x where x is large."""
    large = x >= _LARGE
    few = jnp.where(large, 1.0, x)
    exact = gammaln(few + 1.0) - (few + 0.5) * jnp.log(few) + few - 0.5 * math.log(2.0 * math.pi)
    inverse = 1.0 / jnp.where(large, x, _LARGE)
    square = jnp.square(inverse)
    return jnp.where(large, inverse * (1 / 12 - square * (1 / 360 - square / 1260)), exact)


def log_gamma_step(x: Array) -> Array:
    """`log Γ(x + ½) − log Γ(x) − ½ log x` for x > 0: −1 / 8x where x is large."""
    large = x >= _LARGE
    few = jnp.where(large, 1.0, x)
    exact = gammaln(few + 0.5) - gammaln(few) - 0.5 * jnp.log(few)
    inverse = 1.0 / jnp.where(large, x, _LARGE)
    square = jnp.square(inverse)
    far = -1 / 8 + square * (1 / 192 - square * (1 / 640 - square * 17 / 14336))
    return jnp.where(large, inverse * far, exact)


def log_ratio(log_a: Array, b: Array) -> Array:
    """`log_a − log b` for b > 0, as exact as `log_a`: the logarithm of b is never rounded to its own size."""
    rough = log_a - jnp.log(b)
    mantissa, exponent = jnp.frexp(b)
    # Between √½ and √2, so that the logarithm of what is left is small.
    low = mantissa < math.sqrt(0.5)
    mantissa = jnp.where(low, 2.0 * mantissa, mantissa)
    exponent = exponent.astype(mantissa.dtype) - low.astype(mantissa.dtype)
    exact = (log_a - exponent * _LOG_2_HIGH) - (exponent * _LOG_2_LOW + jnp.log(mantissa))
    # The bits of a number have no derivative; the plain form has.
    return rough + freeze(jnp.where(jnp.isfinite(rough), exact - rough, 0.0))
