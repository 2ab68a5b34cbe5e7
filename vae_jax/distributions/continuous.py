"""Densities of intensities and of heavy-tailed numbers."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key, check_positive, check_value, parameter_shape
from vae_jax.core.keys import as_threefry
from vae_jax.core.trees import as_float, summed, wide_type, widened
from vae_jax.core.types import Array, Key
from vae_jax.distributions.remainders import log_gamma_step, series

# Where |logit| is smaller, series have more digits than the closed forms of the continuous Bernoulli.
_SMALL = 1.0
# log(sinh h / h) in powers of h², from the second on, and `1 / (1 − exp(−l)) − 1 / l − ½` over l in powers of l².
_LOG_SINH = (1 / 6, -1 / 180, 1 / 2835, -1 / 37800)
_MEAN = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600)
# `log(1 + q) / q` in powers of q.
_LOG_SHARE = tuple((-1) ** n / (n + 1) for n in range(8))


def _log1p_share(q: Array) -> Array:
    """`log(1 + q) / q` for q ≥ 0, 1 at 0."""
    small = q < 0.1
    far = jnp.where(small, 1.0, q)
    return jnp.where(small, series(_LOG_SHARE, jnp.where(small, q, 0.0)), jnp.log1p(far) / far)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class ContinuousBernoulli:
    """Densities on [0, 1]: `log p(v) = Σ_j [l_j v_j − log((exp l_j − 1) / l_j)]`, `l = logits` of any shape.

    The likelihood for grey values that Bernoulli's cross-entropy is not: this integrates to one.

    Source: The continuous Bernoulli: fixing a pervasive error in variational autoencoders, arXiv 1907.06845.
    """

    logits: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return parameter_shape("ContinuousBernoulli", logits=self.logits)

    @property
    def mean(self) -> Array:
        """`1 / (1 − exp(−l)) − 1 / l`, which is not the sigmoid."""
        logits = jnp.asarray(as_float(self.logits))
        small = jnp.abs(logits) < _SMALL
        near, far = jnp.where(small, logits, 0.0), jnp.where(small, 1.0, logits)
        # 1 / (1 − e^{-l}) is ½ (1 + coth(l/2)), which cannot overflow.
        closed = 0.5 + 0.5 / jnp.tanh(0.5 * far) - 1.0 / far
        return jnp.where(small, 0.5 + near * series(_MEAN, jnp.square(near)), closed)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values in [0, 1], `shape + event_shape`, by the inverse of the distribution function."""
        check_key("ContinuousBernoulli.sample", key, shape)
        shape = (*shape, *self.event_shape)
        logits = jnp.broadcast_to(widened(self.logits), shape)
        u = jax.random.uniform(key, shape, logits.dtype, minval=jnp.finfo(logits.dtype).tiny)
        small = jnp.abs(logits) < 1e-3
        safe = jnp.where(small, 1.0, logits)
        # v = log(1 + u (e^l − 1)) / l; for l > 0 by v -> 1 − v, so that nothing overflows.
        size = jnp.abs(safe)
        below = -jnp.log1p(u * jnp.expm1(-size)) / size
        inverse = jnp.where(safe > 0, 1.0 - below, below)
        flat = jnp.where(logits > 0, 1.0 - u, u)
        # Two terms: the second derivative by l is right too.
        near = flat + flat * (1.0 - flat) * (logits / 2 + jnp.square(logits) * (1.0 - 2.0 * flat) / 6)
        drawn = jnp.where(small, near, inverse)
        return drawn.astype(jnp.result_type(self.logits, float))

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar; −inf outside [0, 1]."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-density of every element, in the event shape, nats."""
        check_value("ContinuousBernoulli", value, self.event_shape)
        value = widened(value)
        inside = (value >= 0.0) & (value <= 1.0)
        logits = widened(self.logits)
        small = jnp.abs(logits) < _SMALL
        near, far = jnp.where(small, logits, 0.0), jnp.where(small, 1.0, logits)
        square = jnp.square(0.5 * near)
        middle = near * (value - 0.5) - square * series(_LOG_SINH, square)
        # From the end that it is nearer to by its logit: at l = 500 the two terms of the definition are large.
        size = jnp.abs(far)
        end = jnp.log(size) - jnp.log(-jnp.expm1(-size)) - size * jnp.where(far > 0, 1.0 - value, value)
        return jnp.where(inside, jnp.where(small, middle, end), -jnp.inf)


# Where square / df is above e^10, Student's t is computed from logarithms.
_FAR = 10.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class StudentT:
    """Independent Student's t with `df` degrees of freedom, around `loc`, of width `scale`.

    Tails like |v|^−(df+1): one outlier among the elements does not pull the mean. The parameters broadcast to the
    event shape.
    """

    df: Array
    loc: Array
    scale: Array
    reparameterised: ClassVar[bool] = True

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return parameter_shape("StudentT", df=self.df, loc=self.loc, scale=self.scale)

    @property
    def mean(self) -> Array:
        """`loc`, in the event shape: the centre, which is the mean for df > 1."""
        return jnp.broadcast_to(as_float(self.loc), self.event_shape)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + event_shape`."""
        check_key("StudentT.sample", key, shape)
        check_positive("StudentT", df=self.df, scale=self.scale)
        shape = (*shape, *self.event_shape)
        # From here on they are a normal's but for one in a million, and the derivative of JAX's gamma loses its digits.
        df = jnp.minimum(self.df, 1e5)
        kind = jnp.result_type(df, float)
        df, loc, scale = (jnp.broadcast_to(part, shape) for part in (widened(df), self.loc, self.scale))
        normal_key, gamma_key = jax.random.split(key)
        normal = jax.random.normal(normal_key, shape, wide_type(kind))
        # In logarithms: for a small df many gammas are too small for a float, but few of the values too large.
        log_gamma = jax.random.loggamma(as_threefry(gamma_key), 0.5 * df)
        drawn = loc + scale * normal * jnp.exp(0.5 * (jnp.log(0.5 * df) - log_gamma))
        kind = jnp.result_type(kind, self.loc, self.scale)
        return drawn if wide_type(kind) == kind else drawn.astype(kind)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-density of every element, in the event shape, nats."""
        check_value("StudentT", value, self.event_shape)
        check_positive("StudentT", df=self.df, scale=self.scale)
        # From here on it is normal to the last digit, and where it is infinite nothing could be computed.
        df, scale = jnp.minimum(widened(self.df), 1e30), widened(self.scale)
        constant = log_gamma_step(0.5 * df) - 0.5 * math.log(2.0 * math.pi) - jnp.log(scale)
        offset = value - widened(self.loc)
        distance = jnp.abs(offset)
        # Of ½ (df + 1) log(1 + square / df) with a square that may be too large for a float: far out from logarithms,
        # elsewhere as the normal's ½ square and what it is bent by.
        log_share = 2.0 * (jnp.log(jnp.where(distance > 0.0, distance, 1.0)) - jnp.log(scale)) - jnp.log(df)
        is_far = (distance > 0.0) & (log_share > _FAR)
        far = 0.5 * (df + 1.0) * jnp.logaddexp(0.0, jnp.where(is_far, log_share, 0.0))
        square = jnp.square(jnp.where(is_far, 0.0, offset) / scale)
        near = 0.5 * square * (1.0 + 1.0 / df) * _log1p_share(square / df)
        return constant - jnp.where(is_far, far, near)
