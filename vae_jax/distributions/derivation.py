"""Derivations of a context-free grammar: a network writes rule after rule, each of them one that fits."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key, check_value
from vae_jax.core.trees import summed, widened
from vae_jax.core.types import Array, Key
from vae_jax.distributions.distribution import draws
from vae_jax.languages.grammar import Grammar

# The logit of a rule that does not fit; −inf would give NaN at a step where nothing fits.
_NEVER = -1e30


class _Open(NamedTuple):
    """What a derivation has still to expand: a stack of nonterminals `[S]`, its depth, and the slack, which is how many
    steps are left beyond the shortest way to the end."""

    stack: Array
    depth: Array
    slack: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Derivation:
    """Derivations of at most `length` rules: integers `[length]`, `grammar.end` after the last rule.

    `network` gives the logits. It is a pytree with `start`, its first state, `embed(rule) -> input`,
    `step(state, input) -> (state, features)` and `logits(features) -> [R + 1]`; its first input is that of
    `grammar.end`. A rule fits where its left side is the first open nonterminal and enough steps are left to end.
    Only rules that fit are written, so every sample is a whole derivation, of a string of the language.

    Without the second condition it is the decoder of Grammar Variational Autoencoder, arXiv 1703.01925, some of whose
    samples do not end. ValueError where the shortest derivation is longer than `length`.
    """

    network: Any
    grammar: Grammar = field(metadata={"static": True})
    length: int = field(metadata={"static": True})
    reparameterised: ClassVar[bool] = False

    def __post_init__(self) -> None:
        least = self.grammar.tables.least
        if self.length < least:
            raise ValueError(f"Derivation: the shortest derivation has {least} rules, more than length {self.length}.")

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return (self.length,)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Integers of shape `shape + event_shape`, whole derivations. Not reparameterised: no gradient."""
        check_key("Derivation.sample", key, shape)

        def derivation(key: Key) -> Array:
            return self._written(jax.random.split(key, self.length), jax.random.categorical)

        return draws(derivation, key, shape)

    def likely(self) -> Array:
        """`[length]`: the derivation of the likeliest rule at each step; it need not be the likeliest derivation."""
        return self._written(jnp.arange(self.length), lambda place, logits: jnp.argmax(logits))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is no derivation. TypeError unless of integers."""
        check_value("Derivation", value, self.event_shape)
        if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
            raise TypeError(f"Derivation.log_prob: value must hold numbers of rules, got {jnp.result_type(value)}.")
        value = jnp.asarray(value, jnp.int32)
        fits = self._fitting(value)
        before = jnp.concatenate([jnp.array([self.grammar.end]), value[:-1]])
        # All inputs and all logits in one product each; only the state goes step by step.
        _, features = jax.lax.scan(self.network.step, self.network.start, jax.vmap(self.network.embed)(before))
        logits = jnp.where(fits, jax.vmap(self.network.logits)(features), _NEVER)
        chosen = jnp.arange(self.grammar.end + 1)[None] == value[:, None]
        log_probs = summed(jnp.where(chosen & fits, jax.nn.log_softmax(logits), 0.0))
        return jnp.where(jnp.all(jnp.any(chosen & fits, axis=-1)), log_probs, -jnp.inf)

    def _written(self, places: Array, choose: Any) -> Array:
        """The derivation in which `choose(place, logits)` chooses each rule."""

        def step(carry: tuple[Any, _Open, Array], place: Array) -> tuple[tuple[Any, _Open, Array], Array]:
            state, still_open, before = carry
            state, features = self.network.step(state, self.network.embed(before))
            fits = self._rules_of(self._first(still_open), still_open.slack)
            logits = jnp.where(fits, widened(self.network.logits(features)), _NEVER)
            rule = jnp.asarray(choose(place, logits), jnp.int32)
            return (state, self._expanded(still_open, rule), rule), rule

        start = (self.network.start, self._opened(), jnp.int32(self.grammar.end))
        return jax.lax.scan(step, start, places)[1]

    def _fitting(self, value: Array) -> Array:
        """`[length, R + 1]`: the rules that fit at each step, after the rules of `value` before it."""

        def step(still_open: _Open, rule: Array) -> tuple[_Open, tuple[Array, Array]]:
            return self._expanded(still_open, rule), (self._first(still_open), still_open.slack)

        _, (first, slack) = jax.lax.scan(step, self._opened(), value)
        return jax.vmap(self._rules_of)(first, slack)

    def _opened(self) -> _Open:
        tables = self.grammar.tables
        # Each open nonterminal needs a step, so there are never more than steps; one rule's pushes need room beyond.
        stack = jnp.zeros(self.length + tables.pushes.shape[1], jnp.int32)
        return _Open(stack, jnp.int32(1), jnp.int32(self.length - tables.least))

    def _first(self, still_open: _Open) -> Array:
        """The nonterminal to expand next; where none is open, the number of nonterminals, which marks the end."""
        top = still_open.stack[jnp.maximum(still_open.depth - 1, 0)]
        return jnp.where(still_open.depth > 0, top, len(self.grammar.nonterminals))

    def _rules_of(self, first: Array, slack: Array) -> Array:
        """`[R + 1]`: the rules that fit."""
        tables = self.grammar.tables
        return (tables.left == first) & (tables.extra <= slack)

    def _expanded(self, still_open: _Open, rule: Array) -> _Open:
        tables = self.grammar.tables
        below = jnp.maximum(still_open.depth - 1, 0)
        pushed = jax.lax.dynamic_update_slice(still_open.stack, jnp.asarray(tables.pushes)[rule], (below,))
        return _Open(
            pushed, below + jnp.asarray(tables.counts)[rule], still_open.slack - jnp.asarray(tables.extra)[rule]
        )
