"""Distributions of bits, choices and counts. None is reparameterised: their samples carry no gradient."""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, gammaln

from vae_jax.core.checks import check_key, check_value
from vae_jax.core.types import Array, Key


def _softplus(logits: Array) -> Array:
    # Written out, because `jax.nn.softplus` is the dearer form on CPU; finite at logits ±1e4.
    return jnp.maximum(logits, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Bernoulli:
    """Independent bits: `log p(v) = Σ_j [v_j l_j − log(1 + exp l_j)]`, `l = logits` of any shape.

    A likelihood only for `v ∈ {0, 1}`: for grey values this expression does not integrate to one.
    """

    logits: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return jnp.shape(self.logits)

    @property
    def mean(self) -> Array:
        """Probabilities of a one."""
        return jax.nn.sigmoid(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values 0. and 1., of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Bernoulli.sample", key)
        shape = (*shape, *self.event_shape)
        return jax.random.bernoulli(key, jnp.broadcast_to(self.mean, shape), shape).astype(self.logits.dtype)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar."""
        check_value("Bernoulli", value, self.event_shape)
        # Flat, because XLA on CPU vectorises badly over a last axis of one colour.
        logits = jnp.ravel(self.logits)
        return jnp.sum(jnp.ravel(value) * logits - _softplus(logits))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every bit, in the event shape, nats."""
        check_value("Bernoulli", value, self.event_shape)
        return value * self.logits - _softplus(self.logits)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Categorical:
    """Independent choices among `K`: `logits` of shape `event_shape + (K,)`, values are integers 0..K-1."""

    logits: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value: that of the logits without the last axis."""
        return jnp.shape(self.logits)[:-1]

    @property
    def mean(self) -> Array:
        """Expected numbers, which mean something where the choices are levels."""
        return self.probs @ jnp.arange(self.logits.shape[-1], dtype=self.logits.dtype)

    @property
    def probs(self) -> Array:
        """Probabilities, of the shape of the logits."""
        return jax.nn.softmax(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Categorical.sample", key)
        shape = (*shape, *self.event_shape)
        return jax.random.categorical(key, jnp.broadcast_to(self.logits, (*shape, self.logits.shape[-1])))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar. `value` holds integers; −inf outside 0..K-1."""
        return jnp.sum(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every choice, in the event shape, nats."""
        check_value("Categorical", value, self.event_shape)
        if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
            raise TypeError(
                f"Categorical.log_prob: value must hold integers 0..{self.logits.shape[-1] - 1}, got "
                f"{jnp.result_type(value)}. For one-hot values: jnp.argmax(value, -1)."
            )
        # Shifted before the choice: the difference keeps its digits at logits of 1e4.
        log_probs = jax.nn.log_softmax(self.logits)
        value = jnp.asarray(value)
        chosen = jnp.take_along_axis(log_probs, value[..., None], axis=-1, mode="clip")[..., 0]
        return jnp.where((value >= 0) & (value < self.logits.shape[-1]), chosen, -jnp.inf)


def _where_count(log_probs: Array, value: Array, most: float = jnp.inf) -> Array:
    """`log_probs` where `value` is one of 0, 1, … `most`, and −inf elsewhere."""
    return jnp.where((value >= 0) & (value <= most) & (value == jnp.floor(value)), log_probs, -jnp.inf)


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
        return jnp.shape(self.logits)

    @property
    def mean(self) -> Array:
        """Expected counts."""
        return self.total * jax.nn.sigmoid(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Binomial.sample", key)
        shape = (*shape, *self.event_shape)
        probability = jnp.broadcast_to(jax.nn.sigmoid(self.logits), shape)
        return jax.random.binomial(key, float(self.total), probability, shape).astype(jnp.int32)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count of 0..total."""
        return jnp.sum(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("Binomial", value, self.event_shape)
        value, n = jnp.asarray(value, self.logits.dtype), float(self.total)
        inside = jnp.clip(value, 0.0, n)
        choices = gammaln(n + 1.0) - gammaln(inside + 1.0) - gammaln(n - inside + 1.0)
        return _where_count(choices + inside * self.logits - n * _softplus(self.logits), value, n)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Poisson:
    """Independent counts: `log p(v) = Σ_j [v_j r_j − exp r_j − log v_j!]`, `r = log_rate`."""

    log_rate: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return jnp.shape(self.log_rate)

    @property
    def mean(self) -> Array:
        """Rates."""
        return jnp.exp(self.log_rate)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Poisson.sample", key)
        shape = (*shape, *self.event_shape)
        return jax.random.poisson(key, jnp.broadcast_to(self.mean, shape), shape)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count."""
        return jnp.sum(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("Poisson", value, self.event_shape)
        value = jnp.asarray(value, self.log_rate.dtype)
        inside = jnp.maximum(value, 0.0)
        return _where_count(inside * self.log_rate - self.mean - gammaln(inside + 1.0), value)


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
        return jnp.broadcast_shapes(jnp.shape(self.log_mean), jnp.shape(self.log_concentration))

    @property
    def mean(self) -> Array:
        """μ, in the event shape."""
        return jnp.broadcast_to(jnp.exp(self.log_mean), self.event_shape)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`, Poisson of a gamma. Not reparameterised: no gradient."""
        check_key("NegativeBinomial.sample", key)
        gamma_key, count_key = jax.random.split(key)
        shape = (*shape, *self.event_shape)
        concentration = jnp.broadcast_to(jnp.exp(self.log_concentration), self.event_shape)
        gamma = jax.random.gamma(gamma_key, jnp.broadcast_to(concentration, shape), shape)
        rate = gamma * jnp.broadcast_to(self.mean / concentration, shape)
        return jax.random.poisson(count_key, rate, shape)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no count."""
        return jnp.sum(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every count, in the event shape, nats."""
        check_value("NegativeBinomial", value, self.event_shape)
        value = jnp.asarray(value, self.mean.dtype)
        inside = jnp.maximum(value, 0.0)
        r = jnp.exp(self.log_concentration)
        odds = self.log_mean - self.log_concentration
        # log Γ(v+r) − log Γ(r) by the beta function: for large r the difference of two gammas has no digits left.
        ways = -jnp.log(inside + r) - betaln(inside + 1.0, jnp.broadcast_to(r, inside.shape))
        return _where_count(ways - r * _softplus(odds) - inside * _softplus(-odds), value)
