"""Distributions of bits and of choices. None is reparameterised: their samples carry no gradient."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key, check_value, parameter_shape
from vae_jax.core.trees import as_float, summed, widened
from vae_jax.core.types import Array, Key


@jax.custom_jvp
def softplus(logits: Array) -> Array:
    """`log(1 + exp l)`."""
    # Written out, because `jax.nn.softplus` is the dearer form on CPU; finite at logits ±1e4.
    return jnp.maximum(logits, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(logits)))


@softplus.defjvp
def _softplus_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # Its derivative in one expression of the logits: that of the parts takes longer.
    ((logits,), (tangent,)) = primals, tangents
    return softplus(logits), jax.nn.sigmoid(logits) * tangent


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
        return parameter_shape("Bernoulli", logits=self.logits)

    @property
    def mean(self) -> Array:
        """Probabilities of a one."""
        return jax.nn.sigmoid(as_float(self.logits))

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values 0. and 1., of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("Bernoulli.sample", key, shape)
        shape = (*shape, *self.event_shape)
        probs = jax.nn.sigmoid(widened(self.logits))
        return jax.random.bernoulli(key, jnp.broadcast_to(probs, shape), shape).astype(
            jnp.result_type(self.logits, float)
        )

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar."""
        check_value("Bernoulli", value, self.event_shape)
        # Flat, because XLA on CPU vectorises badly over a last axis of one colour.
        logits = jnp.ravel(widened(self.logits))
        return summed(jnp.ravel(value) * logits - softplus(logits))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every bit, in the event shape, nats."""
        check_value("Bernoulli", value, self.event_shape)
        logits = widened(self.logits)
        return value * logits - softplus(logits)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Categorical:
    """Independent choices among `K`: `logits` of shape `event_shape + (K,)`, values are integers 0..K-1."""

    logits: Array
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value: that of the logits without the last axis."""
        return parameter_shape("Categorical", least_rank=1, logits=self.logits)[:-1]

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
        check_key("Categorical.sample", key, shape)
        shape = (*shape, *self.event_shape)
        return jax.random.categorical(key, jnp.broadcast_to(widened(self.logits), (*shape, self.logits.shape[-1])))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar. `value` holds integers; −inf outside 0..K-1."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-probability of every choice, in the event shape, nats."""
        check_value("Categorical", value, self.event_shape)
        if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
            raise TypeError(
                f"Categorical.log_prob: value must hold integers 0..{self.logits.shape[-1] - 1}, got "
                f"{jnp.result_type(value)}. For one-hot values: jnp.argmax(value, -1)."
            )
        # Shifted before the choice: the difference keeps its digits at logits of 1e4.
        log_probs = jax.nn.log_softmax(widened(self.logits))
        # A number of 8 bits would be compared with K in 8 bits, where 256 is 0.
        value = jnp.asarray(value, jnp.promote_types(jnp.result_type(value), jnp.int32))
        chosen = jnp.take_along_axis(log_probs, value[..., None], axis=-1, mode="clip")[..., 0]
        return jnp.where((value >= 0) & (value < self.logits.shape[-1]), chosen, -jnp.inf)
