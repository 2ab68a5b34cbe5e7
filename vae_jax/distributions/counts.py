"""Distributions of counts, whole numbers from 0 on. None is reparameterised: their samples carry no gradient.

Their log-probabilities are Loader's: the distance of a count from what was expected, and remainders of Stirling's
formula (`remainders.py`), so that float32 has its digits at counts of a million.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_count, check_key, check_value, parameter_shape
from vae_jax.core.keys import as_threefry
from vae_jax.core.trees import as_float, summed, widened
from vae_jax.core.types import Array, Key
from vae_jax.distributions.discrete import softplus
from vae_jax.distributions.remainders import exp_remainder, log_ratio, stirling_remainder

_LOG_2PI = math.log(2.0 * math.pi)
# Counts of a larger variance are drawn by their expansion about a normal, whose total variation from them is below
# 2e-5. JAX's rejection compares large numbers in float32: its Poisson has half too much variance at a rate of 1e8.
_WIDE = 100.0
# Up to here JAX's binomial is right. Above it what is not wide has a probability below 5e-4, and is Poisson to 1e-4.
_MOST_TRIALS = 200_000
# A negative binomial of a larger concentration is Poisson to the last digit, and exp would overflow.
_POISSON = 60.0


def _where_count(log_probs: Array, value: Array, most: float = jnp.inf) -> Array:
    """`log_probs` where `value` is one of 0, 1, … `most`, and −inf elsewhere."""
    is_count = (value >= 0) & (value <= most) & (value == jnp.floor(value)) & jnp.isfinite(value)
    return jnp.where(is_count, log_probs, -jnp.inf)


def _wide_counts(key: Key, mean: Array, variance: Array, skew: Array, excess: Array) -> Array:
    """Whole numbers as floats, by Cornish and Fisher's expansion to the fourth moment, whose parts are given.

    `skew`, `excess`: the third and fourth cumulants in units of the standard deviation. Rounding adds the twelfth to
    the variance.
    """
    # These and the exact draws of small counts are made by one key, and one of the two is taken.
    z = jax.random.normal(jax.random.clone(key), jnp.shape(mean), mean.dtype)
    bent = (z**2 - 1) * skew / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * jnp.square(skew) / 36
    return jnp.round(mean + jnp.sqrt(variance - 1 / 12) * z + jnp.sqrt(variance) * bent)


def _poisson_counts(key: Key, rate: Array) -> Array:
    """Whole numbers as floats, one for each rate."""
    few = jax.random.poisson(as_threefry(key), jnp.minimum(rate, _WIDE), jnp.shape(rate)).astype(rate.dtype)
    many = jnp.maximum(rate, _WIDE)
    return jnp.where(rate < _WIDE, few, _wide_counts(key, many, many, jax.lax.rsqrt(many), 1.0 / many))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Binomial:
    """Counts out of `total`: `log p(v) = Σ_j [log C(n, v_j) + v_j l_j − n log(1 + exp l_j)]`, `l = logits`."""

    logits: Array
    total: int = field(metadata={"static": True})
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        check_count("Binomial", "total", self.total)
        return parameter_shape("Binomial", logits=self.logits)

    @property
    def mean(self) -> Array:
        """Expected counts."""
        return self.total * jax.nn.sigmoid(as_float(self.logits))

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`. Not reparameterised: no gradient.

        ValueError for a `total` of 2^31 or more, which no int32 holds.
        """
        check_key("Binomial.sample", key, shape)
        check_count("Binomial", "total", self.total)
        if self.total >= 2**31:
            raise ValueError(f"Binomial.sample: total must be below 2^31, got {self.total}.")
        logits = jnp.broadcast_to(widened(self.logits), (*shape, *self.event_shape))
        # Of the rarer outcome: the probability of the other rounds to 1.
        n, p, q = float(self.total), jax.nn.sigmoid(-jnp.abs(logits)), jax.nn.sigmoid(jnp.abs(logits))
        variance = n * p * q
        wide = variance >= _WIDE
        narrow = jnp.where(wide, 0.0, p)
        if self.total <= _MOST_TRIALS:
            few = jax.random.binomial(as_threefry(key), n, narrow, logits.shape)
        else:
            few = jax.random.poisson(as_threefry(key), n * narrow, logits.shape)
        safe = jnp.maximum(variance, _WIDE)
        many = _wide_counts(key, n * p, safe, (q - p) * jax.lax.rsqrt(safe), (1.0 - 6.0 * p * q) / safe)
        rarer = jnp.where(wide, many, few.astype(many.dtype)).astype(jnp.int32)
        return jnp.clip(jnp.where(logits > 0.0, self.total - rarer, rarer), 0, self.total)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count of 0..total."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("Binomial", value, self.event_shape)
        logits, n = widened(self.logits), float(self.total)
        value = jnp.asarray(value, logits.dtype)
        log_ones, log_zeros = -softplus(-logits), -softplus(logits)
        ends = jnp.where(value == 0, n * log_zeros, n * log_ones)
        if self.total < 2:
            return _where_count(ends, value, n)
        ones = jnp.clip(value, 1.0, n - 1.0)
        zeros = n - ones
        far = ones * exp_remainder(log_ones - jnp.log(ones / n)) + zeros * exp_remainder(log_zeros - jnp.log(zeros / n))
        ways = math.lgamma(n + 1.0) - (n + 0.5) * math.log(n) + n - 0.5 * _LOG_2PI
        ways -= stirling_remainder(ones) + stirling_remainder(zeros) + 0.5 * (_LOG_2PI + jnp.log(ones * (zeros / n)))
        return _where_count(jnp.where((value == 0) | (value == n), ends, ways - far), value, n)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Poisson:
    """Independent counts: `log p(v) = Σ_j [v_j r_j − exp r_j − log v_j!]`, `r = log_rate`."""

    log_rate: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return parameter_shape("Poisson", log_rate=self.log_rate)

    @property
    def mean(self) -> Array:
        """Rates."""
        return jnp.exp(self.log_rate)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Whole numbers of shape `shape + event_shape`. Not reparameterised: no gradient.

        They are floats, of the kind of `log_rate`, since an int32 ends at 2^31: right at every rate that has a float,
        compiled or not. From 2^24 on float32 leaves out whole numbers, by far fewer than a standard deviation.
        """
        check_key("Poisson.sample", key, shape)
        shape = (*shape, *self.event_shape)
        drawn = _poisson_counts(key, jnp.broadcast_to(jnp.exp(widened(self.log_rate)), shape))
        return drawn.astype(jnp.result_type(self.log_rate, float))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("Poisson", value, self.event_shape)
        log_rate = widened(self.log_rate)
        value = jnp.asarray(value, log_rate.dtype)
        count = jnp.maximum(value, 1.0)
        far = count * exp_remainder(log_ratio(log_rate, count))
        some = -far - stirling_remainder(count) - 0.5 * (_LOG_2PI + jnp.log(count))
        return _where_count(jnp.where(value == 0, -jnp.exp(log_rate), some), value)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class NegativeBinomial:
    """Counts wider than Poisson's: mean μ = exp(`log_mean`), variance μ + μ²/r, r = exp(`log_concentration`).

    `log p(v) = Σ_j [log Γ(v+r) − log Γ(r) − log v! + r log(r/(r+μ)) + v log(μ/(r+μ))]`; r → ∞ is Poisson.
    """

    log_mean: Array
    log_concentration: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return parameter_shape("NegativeBinomial", log_mean=self.log_mean, log_concentration=self.log_concentration)

    @property
    def mean(self) -> Array:
        """μ, in the event shape."""
        return jnp.broadcast_to(jnp.exp(self.log_mean), self.event_shape)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Whole numbers of shape `shape + event_shape`, Poisson of a gamma. Not reparameterised: no gradient.

        They are floats, as `Poisson.sample` says.
        """
        check_key("NegativeBinomial.sample", key, shape)
        gamma_key, count_key = jax.random.split(key)
        shape = (*shape, *self.event_shape)
        concentration = jnp.broadcast_to(jnp.exp(jnp.minimum(widened(self.log_concentration), _POISSON)), shape)
        share = jax.random.gamma(as_threefry(gamma_key), concentration) / concentration
        drawn = _poisson_counts(count_key, share * jnp.broadcast_to(jnp.exp(widened(self.log_mean)), shape))
        return drawn.astype(jnp.result_type(self.log_mean, self.log_concentration, float))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("NegativeBinomial", value, self.event_shape)
        # e to the power of either is beyond half precision soon.
        log_mean, log_r = widened(self.log_mean), widened(self.log_concentration)
        log_r = jnp.minimum(log_r, _POISSON)
        r, odds = jnp.exp(log_r), log_mean - log_r
        value = jnp.asarray(value, odds.dtype)
        count = jnp.maximum(value, 1.0)
        # As r failures among v + r trials, of which r (v+r) / (μ+r) were expected: how far off they are, and how far
        # the counts are.
        log_r_share = log_ratio(log_r, count)
        failures = softplus(-log_r_share) - softplus(odds)
        counts = jnp.where(
            log_r_share > 0.0, log_ratio(log_mean, count) + failures, softplus(log_r_share) - softplus(-odds)
        )
        far = r * exp_remainder(failures) + count * exp_remainder(counts)
        ways = stirling_remainder(count + r) - stirling_remainder(r) - stirling_remainder(count)
        some = ways - far - 0.5 * (_LOG_2PI + jnp.log(count) + softplus(-log_r_share))
        return _where_count(jnp.where(value == 0, -r * softplus(odds), some), value)
