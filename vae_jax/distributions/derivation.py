"""Derivations of a context-free grammar: a network writes rule after rule, and only those that fit can be written."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key, check_value
from vae_jax.core.types import Array, Key
from vae_jax.distributions.distribution import draws
from vae_jax.languages.grammar import Grammar

# A logit that has no probability; −inf would make a NaN of a step at which nothing fits.
_NEVER = -1e30


class _Open(NamedTuple):
    """What a derivation has still to expand: a stack of nonterminals `[S]`, how many there are, and how many rules more
    than the shortest way to its end fit."""

    stack: Array
    depth: Array
    slack: Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Derivation:
    """Derivations of at most `length` rules: integers `[length]`, `grammar.end` after the last rule.

    `network` gives the logits, a pytree with `start`, its first state, and `embed(rule) -> input`,
    `step(state, input) -> (state, features)` and `logits(features) -> [R + 1]`, where the first input is that of
    `grammar.end`. A rule can only be written where the first open nonterminal is its left side and enough steps are
    left to end: all probability is on whole derivations, and every sample is a string of the language.

    Without the second condition it is the decoder of Grammar Variational Autoencoder, arXiv 1703.01925, some of whose
    samples do not end. Raises ValueError where no derivation is as short as `length`.
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
        check_key("Derivation.sample", key)

        def one(key: Key) -> Array:
            return self._written(jax.random.split(key, self.length), jax.random.categorical)

        return draws(one, key, shape)

    def likely(self) -> Array:
        """The derivation of the likeliest rule at each step (not that of the largest probability): `[length]`."""
        return self._written(jnp.arange(self.length), lambda place, logits: jnp.argmax(logits))

    def log_prob(self, value: Array) -> Array:
        """Log-probability in nats, a scalar; −inf where `value` is not a derivation."""
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
        log_probs = jnp.sum(jnp.where(chosen & fits, jax.nn.log_softmax(logits), 0.0))
        return jnp.where(jnp.all(jnp.any(chosen & fits, axis=-1)), log_probs, -jnp.inf)

    def _written(self, places: Array, choose: Any) -> Array:
        """The derivation that `choose(place, logits)` makes."""

        def step(carry: tuple[Any, _Open, Array], place: Array) -> tuple[tuple[Any, _Open, Array], Array]:
            state, still_open, before = carry
            state, features = self.network.step(state, self.network.embed(before))
            logits = jnp.where(self._allowed(still_open), self.network.logits(features), _NEVER)
            rule = jnp.asarray(choose(place, logits), jnp.int32)
            return (state, self._expanded(still_open, rule), rule), rule

        start = (self.network.start, self._opened(), jnp.int32(self.grammar.end))
        return jax.lax.scan(step, start, places)[1]

    def _fitting(self, value: Array) -> Array:
        """`[length, R + 1]`: the rules that could be written at each step, after those of `value` before it."""

        def step(still_open: _Open, rule: Array) -> tuple[_Open, tuple[Array, Array]]:
            return self._expanded(still_open, rule), (self._first(still_open), still_open.slack)

        _, (first, slack) = jax.lax.scan(step, self._opened(), value)
        return jax.vmap(self._rules_of)(first, slack)

    def _opened(self) -> _Open:
        tables = self.grammar.tables
        # An open nonterminal needs a step, so that there are never more than steps; room for what one rule pushes.
        stack = jnp.zeros(self.length + tables.pushes.shape[1], jnp.int32)
        return _Open(stack, jnp.int32(1), jnp.int32(self.length - tables.least))

    def _first(self, still_open: _Open) -> Array:
        """The nonterminal to expand next, or their number where none is open."""
        top = still_open.stack[jnp.maximum(still_open.depth - 1, 0)]
        return jnp.where(still_open.depth > 0, top, len(self.grammar.nonterminals))

    def _rules_of(self, first: Array, slack: Array) -> Array:
        tables = self.grammar.tables
        return (tables.left == first) & (tables.extra <= slack)

    def _allowed(self, still_open: _Open) -> Array:
        return self._rules_of(self._first(still_open), still_open.slack)

    def _expanded(self, still_open: _Open, rule: Array) -> _Open:
        tables = self.grammar.tables
        below = jnp.maximum(still_open.depth - 1, 0)
        pushed = jax.lax.dynamic_update_slice(still_open.stack, jnp.asarray(tables.pushes)[rule], (below,))
        return _Open(
            pushed, below + jnp.asarray(tables.counts)[rule], still_open.slack - jnp.asarray(tables.extra)[rule]
        )
