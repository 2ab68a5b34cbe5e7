"""Choices as one-hot vectors, and their continuous relaxations.

A relaxed sample lies inside the simplex (or between 0 and 1) and carries a gradient. A model that was trained with it
must be measured with the discrete distribution of the same logits, `q.discrete`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vae_jax.core.checks import check_key, check_positive, check_value, parameter_shape
from vae_jax.core.trees import freeze, summed
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
        check_key("OneHotCategorical.sample", key)
        logits = jnp.broadcast_to(self.logits, (*shape, *self.event_shape))
        return jax.nn.one_hot(jax.random.categorical(key, logits), logits.shape[-1], dtype=logits.dtype)

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is not one-hot, as a relaxed sample is not."""
        check_value("OneHotCategorical", value, self.event_shape)
        is_one_hot = (jnp.max(value, axis=-1) == 1.0) & (jnp.sum(jnp.abs(value), axis=-1) == 1.0)
        log_mass = jnp.sum(value * jax.nn.log_softmax(self.logits), axis=-1)
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
        """Reparameterised values, `shape + event_shape`."""
        return jnp.exp(self._log_sample(key, shape))

    def log_prob(self, value: Array) -> Array:
        """Log-density on the simplex in nats, a scalar."""
        check_value("Concrete", value, self.event_shape)
        return self._log_density(jnp.log(jnp.maximum(value, jnp.finfo(jnp.result_type(self.logits)).tiny)))

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """A sample y and its log-density, computed from log y, where no coordinate underflows."""
        log_y = self._log_sample(key, ())
        return jnp.exp(log_y), self._log_density(log_y)

    def sample_and_path_log_prob(self, key: Key) -> tuple[Array, Array]:
        """As `sample_and_log_prob`, but the gradient of the log-density goes through the sample alone."""
        log_y = self._log_sample(key, ())
        return jnp.exp(log_y), freeze(self)._log_density(log_y)

    def _log_sample(self, key: Key, shape: tuple[int, ...]) -> Array:
        check_key("Concrete.sample", key)
        check_positive("Concrete", temperature=self.temperature)
        shape = (*shape, *self.event_shape)
        noise = jax.random.gumbel(key, shape, self.logits.dtype)
        return jax.nn.log_softmax((jnp.broadcast_to(self.logits, shape) + noise) / self.temperature)

    def _log_density(self, log_y: Array) -> Array:
        check_positive("Concrete", temperature=self.temperature)
        size, tau = self.logits.shape[-1], self.temperature
        # Normalised first: at logits of 1e4 the difference of the two sums below would lose its digits.
        logits = jax.nn.log_softmax(self.logits)
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
        return jax.nn.sigmoid(self._sample_logit(key, shape))

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar; 0 and 1 count as the nearest numbers between them."""
        check_value("RelaxedBernoulli", value, self.event_shape)
        limits = jnp.finfo(jnp.result_type(self.logits))
        value = jnp.clip(value, limits.tiny, 1.0 - limits.epsneg)
        return self._log_density(jnp.log(value) - jnp.log1p(-value))

    def sample_and_log_prob(self, key: Key) -> tuple[Array, Array]:
        """A sample and its log-density, computed from its logit, which cannot round to 0 or 1."""
        logit = self._sample_logit(key, ())
        return jax.nn.sigmoid(logit), self._log_density(logit)

    def sample_and_path_log_prob(self, key: Key) -> tuple[Array, Array]:
        """As `sample_and_log_prob`, but the gradient of the log-density goes through the sample alone."""
        logit = self._sample_logit(key, ())
        return jax.nn.sigmoid(logit), freeze(self)._log_density(logit)

    def _sample_logit(self, key: Key, shape: tuple[int, ...]) -> Array:
        check_key("RelaxedBernoulli.sample", key)
        check_positive("RelaxedBernoulli", temperature=self.temperature)
        shape = (*shape, *self.event_shape)
        return (jnp.broadcast_to(self.logits, shape) + jax.random.logistic(key, shape)) / self.temperature

    def _log_density(self, logit: Array) -> Array:
        check_positive("RelaxedBernoulli", temperature=self.temperature)
        # The logistic density at τ logit − l, times τ, over the derivative σ'(logit) of the sigmoid.
        noise = self.temperature * logit - self.logits
        log_sigmoid = jax.nn.log_sigmoid
        density = jnp.log(self.temperature) + log_sigmoid(noise) + log_sigmoid(-noise)
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
