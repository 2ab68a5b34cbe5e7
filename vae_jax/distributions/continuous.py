"""Densities of intensities and of heavy-tailed numbers."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vae_jax.core.checks import check_key, check_positive, check_value
from vae_jax.core.types import Array, Key

# Where |logit| is smaller, the series of the continuous Bernoulli has more digits than its closed form.
_SMALL = 0.1


def _log_normaliser(logits: Array) -> Array:
    """`log ∫₀¹ e^{l v} dv = log((e^l − 1) / l)`, 0 at l = 0."""
    half = jnp.abs(0.5 * logits)
    small = half < 0.5 * _SMALL
    safe = jnp.where(small, 1.0, half)
    # log sinh(h)/h, written with e^{-2h}, which cannot overflow.
    far = safe + jnp.log(-jnp.expm1(-2.0 * safe)) - jnp.log(2.0 * safe)
    near = jnp.square(half) / 6.0 - jnp.square(jnp.square(half)) / 180.0
    return 0.5 * logits + jnp.where(small, near, far)


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
        return jnp.shape(self.logits)

    @property
    def mean(self) -> Array:
        """`1 / (1 − exp(−l)) − 1 / l`, which is not the sigmoid."""
        small = jnp.abs(self.logits) < _SMALL
        safe = jnp.where(small, 1.0, self.logits)
        # 1 / (1 − e^{-l}) = sigmoid(l) / (1 − e^{-|l|}) · … is simplest as ½ (1 + coth(l/2)).
        far = 0.5 + 0.5 / jnp.tanh(0.5 * safe) - 1.0 / safe
        return jnp.where(small, 0.5 + self.logits / 12.0 - self.logits**3 / 720.0, far)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values in [0, 1], `shape + event_shape`, by the inverse of the distribution function."""
        check_key("ContinuousBernoulli.sample", key)
        shape = (*shape, *self.event_shape)
        logits = jnp.broadcast_to(self.logits, shape)
        u = jax.random.uniform(key, shape, self.logits.dtype, minval=jnp.finfo(self.logits.dtype).tiny)
        small = jnp.abs(logits) < 1e-3
        safe = jnp.where(small, 1.0, logits)
        # v = log(1 + u (e^l − 1)) / l; for l > 0 by v -> 1 − v, so that nothing overflows.
        size = jnp.abs(safe)
        below = -jnp.log1p(u * jnp.expm1(-size)) / size
        inverse = jnp.where(safe > 0, 1.0 - below, below)
        flat = jnp.where(logits > 0, 1.0 - u, u)
        return jnp.where(small, flat + 0.5 * logits * flat * (1.0 - flat), inverse)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar; −inf outside [0, 1]."""
        return jnp.sum(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-density of every element, in the event shape, nats."""
        check_value("ContinuousBernoulli", value, self.event_shape)
        inside = (value >= 0.0) & (value <= 1.0)
        return jnp.where(inside, value * self.logits - _log_normaliser(self.logits), -jnp.inf)


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
        return jnp.broadcast_shapes(*(jnp.shape(part) for part in (self.df, self.loc, self.scale)))

    @property
    def mean(self) -> Array:
        """`loc`, in the event shape: the centre, which is the mean for df > 1."""
        return jnp.broadcast_to(self.loc, self.event_shape)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + event_shape`."""
        check_key("StudentT.sample", key)
        check_positive("StudentT", df=self.df, scale=self.scale)
        shape = (*shape, *self.event_shape)
        df, loc, scale = (jnp.broadcast_to(part, shape) for part in (self.df, self.loc, self.scale))
        return loc + scale * jax.random.t(key, df, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        return jnp.sum(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-density of every element, in the event shape, nats."""
        check_value("StudentT", value, self.event_shape)
        check_positive("StudentT", df=self.df, scale=self.scale)
        half = 0.5 * (self.df + 1.0)
        constant = gammaln(half) - gammaln(0.5 * self.df) - 0.5 * jnp.log(jnp.pi * self.df) - jnp.log(self.scale)
        return constant - half * jnp.log1p(jnp.square((value - self.loc) / self.scale) / self.df)
