"""Choices as one-hot vectors, and their continuous relaxations.

A relaxed sample lies inside the simplex (or between 0 and 1) and carries a gradient. A model that was trained with it
must be measured with the discrete distribution of the same logits, `q.discrete`.

A cold sample rounds to a corner. Its density is that of the rounded value, which is all that a prior is given: were
log q known better than log p, a log-weight of two equal distributions would not be 0.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vae_jax.core.checks import check_key, check_positive, check_value, parameter_shape
from vae_jax.core.trees import freeze, summed, widened
from vae_jax.core.types import Array, Key
from vae_jax.distributions.discrete import Bernoulli


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class OneHotCategorical:
    """Independent choices among K as one-hot vectors: `logits` and values `[*shape, K]`."""

    logits: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value: that of the logits."""
        return parameter_shape("OneHotCategorical", least_rank=1, logits=self.logits)

    @property
    def mean(self) -> Array:
        """The probabilities of the K choices, in the event shape."""
        return jax.nn.softmax(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """One-hot vectors, `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("OneHotCategorical.sample", key, shape)
        logits = jnp.broadcast_to(self.logits, (*shape, *self.event_shape))
        return jax.nn.one_hot(jax.random.categorical(key, widened(logits)), logits.shape[-1], dtype=logits.dtype)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is not one-hot, as a relaxed sample is not."""
        check_value("OneHotCategorical", value, self.event_shape)
        is_one_hot = (jnp.max(value, axis=-1) == 1.0) & (jnp.sum(jnp.abs(value), axis=-1) == 1.0)
        log_probs = jax.nn.log_softmax(widened(self.logits))
        # 0 times the −inf of a masked choice would be NaN. The gradient in any other 0 is log p, for straight-through.
        log_probs = jnp.where((value == 0.0) & jnp.isneginf(log_probs), 0.0, log_probs)
        log_mass = jnp.sum(value * log_probs, axis=-1)
        return summed(jnp.where(is_one_hot, log_mass, -jnp.inf))


def _relaxed_shape(where: str, logits: Array, temperature: Array, *, least_rank: int = 0) -> tuple[int, ...]:
    """The shape of the logits. ValueError where the temperature has one that they do not broadcast to."""
    shape = parameter_shape(where, least_rank=least_rank, logits=logits)
    if parameter_shape(where, least_rank=least_rank, logits=logits, temperature=temperature) != shape:
        raise ValueError(
            f"{where}: temperature must broadcast to the shape of the logits, {shape}, got {jnp.shape(temperature)}."
        )
    return shape


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Concrete:
    """Gumbel-Softmax: `softmax((logits + g) / τ)`, g standard Gumbel, τ = `temperature` > 0; a point of the simplex.

    With logits l `[*shape, K]`, `log p(y) = Σ [log (K−1)! + (K−1) log τ + Σ_k (l_k − (τ+1) log y_k)
    − K log Σ_k exp(l_k − τ log y_k)]`. For τ → 0 samples become one-hot.

    Source: The Concrete Distribution, arXiv 1611.00712; Categorical Reparameterization with Gumbel-Softmax,
    arXiv 1611.01144.
    """

    logits: Array
    temperature: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value: that of the logits."""
        shape = _relaxed_shape("Concrete", self.logits, self.temperature, least_rank=1)
        if jnp.ndim(self.temperature) and jnp.shape(self.temperature)[-1] != 1:
            raise ValueError(
                "Concrete: a choice has one temperature, so its shape must be () or end in 1, got "
                f"{jnp.shape(self.temperature)}."
            )
        return shape

    @property
    def discrete(self) -> OneHotCategorical:
        """The discrete distribution of the same logits."""
        return OneHotCategorical(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + event_shape`, float32 or wider."""
        check_key("Concrete.sample", key, shape)
        check_positive("Concrete", temperature=self.temperature)
        logits = jnp.broadcast_to(widened(self.logits), (*shape, *self.event_shape))
        return jax.nn.softmax((logits + jax.random.gumbel(key, logits.shape, logits.dtype)) / self.temperature)

    def log_prob(self, value: Array) -> Array:
        """Log-density on the simplex in nats, a scalar; a coordinate of 0 counts as the nearest number above it."""
        check_value("Concrete", value, self.event_shape)
        check_positive("Concrete", temperature=self.temperature)
        value = widened(value)
        log_y = jnp.log(jnp.maximum(value, jnp.finfo(value.dtype).tiny))
        size, tau = self.logits.shape[-1], widened(self.temperature)
        # Normalised first: at logits of 1e4 the difference of the two sums below would lose its digits.
        logits = jax.nn.log_softmax(widened(self.logits))
        # Of a temperature for each variable, `[*shape, 1]`, as of the sums below.
        constant = gammaln(float(size)) + (size - 1) * jnp.log(tau if jnp.ndim(tau) == 0 else tau[..., 0])
        weighted = logits - tau * log_y
        terms = jnp.sum(weighted - log_y, axis=-1) - size * jax.nn.logsumexp(weighted, axis=-1)
        return summed(constant + terms)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class RelaxedBernoulli:
    """Binary Concrete: `σ((logits + g) / τ)`, g standard logistic, τ = `temperature` > 0; values between 0 and 1.

    Source: The Concrete Distribution, arXiv 1611.00712, appendix B.
    """

    logits: Array
    temperature: Array

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return _relaxed_shape("RelaxedBernoulli", self.logits, self.temperature)

    @property
    def discrete(self) -> Bernoulli:
        """The discrete distribution of the same logits."""
        return Bernoulli(self.logits)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Reparameterised values, `shape + event_shape`."""
        check_key("RelaxedBernoulli.sample", key, shape)
        check_positive("RelaxedBernoulli", temperature=self.temperature)
        shape = (*shape, *self.event_shape)
        noisy = jnp.broadcast_to(self.logits, shape) + jax.random.logistic(key, shape)
        return jax.nn.sigmoid(noisy / self.temperature)

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar; 0 and 1 count as the nearest numbers between them."""
        check_value("RelaxedBernoulli", value, self.event_shape)
        check_positive("RelaxedBernoulli", temperature=self.temperature)
        value = widened(value)
        limits = jnp.finfo(value.dtype)
        value = jnp.clip(value, limits.tiny, 1.0 - limits.epsneg)
        logit = jnp.log(value) - jnp.log1p(-value)
        # The logistic density at τ logit − l, times τ, over the derivative σ'(logit) of the sigmoid.
        tau = widened(self.temperature)
        noise = tau * logit - widened(self.logits)
        log_sigmoid = jax.nn.log_sigmoid
        density = jnp.log(tau) + log_sigmoid(noise) + log_sigmoid(-noise)
        return summed(density - log_sigmoid(logit) - log_sigmoid(-logit))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class StraightThrough:
    """The discrete distribution of a relaxed one, whose samples borrow the gradient of the relaxed sample.

    A sample is exactly one-hot (or a bit), so its density is the discrete one. Its gradient is that of the relaxed
    sample, which is biased. `relaxed`: a `Concrete` or a `RelaxedBernoulli`.

    Source: Categorical Reparameterization with Gumbel-Softmax, arXiv 1611.01144, section 2.2.
    """

    relaxed: Any

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return self.relaxed.event_shape

    @property
    def discrete(self) -> Any:
        """The discrete distribution, whose samples carry no gradient."""
        return self.relaxed.discrete

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """One-hot vectors or bits, `shape + event_shape`, with the gradient of the relaxed sample."""
        soft = self.relaxed.sample(key, shape)
        if isinstance(self.relaxed, Concrete):
            hard = jax.nn.one_hot(jnp.argmax(soft, axis=-1), soft.shape[-1], dtype=soft.dtype)
        else:
            hard = (soft > 0.5).astype(soft.dtype)
        return hard + (soft - freeze(soft))

    def log_prob(self, value: Array) -> Array:
        """Log-probability of the discrete distribution, nats."""
        return self.discrete.log_prob(value)
