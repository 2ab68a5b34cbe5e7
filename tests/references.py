"""What the table of distributions is compared with: the same laws, made by others or by another formula."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as nd
import scipy.special

import vae_jax as vj
from vae_jax.languages.grammar import Grammar


class Reference(NamedTuple):
    """The same distribution, made by others or by another formula."""

    log_probs: Callable[[Any], Any]
    """Log-densities `[n]` of n values."""
    draws: Callable[[int], Any]
    """n samples."""


def of_numpyro(d: Any) -> Reference:
    """A distribution of numpyro, or anything with `sample(key)` and `log_prob(value)`."""
    # Jitted: one program compiles faster than each of its operations by itself.
    log_probs, draw = jax.jit(jax.vmap(d.log_prob)), jax.jit(jax.vmap(d.sample))
    return Reference(log_probs, lambda n: draw(jax.random.split(jax.random.key(1), n)))


def by_element(log_density: Callable[[Any], Any], draws: Callable[[Any, int], Any]) -> Reference:
    """Independent elements in float64: the sum of `log_density` over the last axis, `draws(generator, n)`."""
    return Reference(
        lambda values: np.sum(log_density(np.asarray(values, np.float64)), axis=-1),
        lambda n: jnp.asarray(draws(np.random.default_rng(1), n), jnp.float32),
    )


class Layers(NamedTuple):
    """A normal on the two layers of a chain, joined; `first` is how many of its numbers are the lowest layer."""

    joint: Any
    first: int

    def sample(self, key: Any) -> Any:
        value = self.joint.sample(key)
        return value[: self.first], value[self.first :]

    def log_prob(self, value: Any) -> Any:
        return self.joint.log_prob(jnp.concatenate(value))


class Columns(NamedTuple):
    parts: dict[str, Any]

    def sample(self, key: Any) -> Any:
        return {name: part.sample(jax.random.fold_in(key, i)) for i, (name, part) in enumerate(self.parts.items())}

    def log_prob(self, value: Any) -> Any:
        return sum(part.log_prob(value[name]) for name, part in self.parts.items())


class Row(NamedTuple):
    """Parts one after the other as one array."""

    parts: tuple[Any, ...]

    def sample(self, key: Any) -> Any:
        return jnp.concatenate([jnp.ravel(part.sample(k)) for part, k in zip(self.parts, self._keys(key), strict=True)])

    def _keys(self, key: Any) -> Any:
        return jax.random.split(key, len(self.parts))

    def log_prob(self, value: Any) -> Any:
        sizes = np.cumsum([part.shape()[-1] if part.event_shape else 1 for part in self.parts])[:-1]
        return sum(
            part.log_prob(each if part.event_shape else each[0]).sum()
            for part, each in zip(self.parts, jnp.split(value, sizes), strict=True)
        )


class OneHot(NamedTuple):
    logits: Any

    def sample(self, key: Any) -> Any:
        return jax.nn.one_hot(nd.Categorical(logits=self.logits).sample(key), self.logits.shape[-1])

    def log_prob(self, value: Any) -> Any:
        return nd.Categorical(logits=self.logits).to_event(1).log_prob(jnp.argmax(value, -1))


class Complete(NamedTuple):
    inner: Any

    def sample(self, key: Any) -> Any:
        value = self.inner.sample(key)
        return vj.Observed(value, jnp.ones(value.shape, bool))

    def log_prob(self, value: Any) -> Any:
        return self.inner.log_prob(value.value)


def concrete_by_integral(logits: Any, tau: float) -> Callable[[Any], Any]:
    """The density of a softmax of Gumbels with their common shift integrated out by a sum over a grid."""
    shifts = np.linspace(-30.0, 60.0, 451)

    def log_probs(values: Any) -> Any:
        return np.concatenate([of_few(part) for part in np.array_split(values, 1 + len(values) // 1000)])

    def of_few(values: Any) -> Any:
        log_y = np.log(np.asarray(values, np.float64))
        noise = tau * (log_y[..., None, :] + shifts[:, None]) - np.asarray(logits, np.float64)[..., None, :]
        density = np.sum(-noise - np.exp(np.minimum(-noise, 700.0)), axis=-1) + np.log(tau) * log_y.shape[-1]
        found = scipy.special.logsumexp(density, axis=-1) + np.log(shifts[1] - shifts[0])
        return np.sum(found - np.sum(log_y, axis=-1), axis=-1)

    return log_probs


def pushed(base: Any, bijection: Any) -> Reference:
    """A flow with its log-determinant from the whole Jacobian, by automatic differentiation."""

    def log_prob(y: Any) -> Any:
        z, _ = bijection.inverse(y)
        jacobian = jax.jacfwd(lambda z: bijection.forward(z)[0])(z)
        return base.log_prob(z) - jnp.linalg.slogdet(jacobian)[1]

    def draws(n: int) -> Any:
        z = base.sample(jax.random.key(1), (n,))
        return jax.vmap(lambda z: bijection.forward(z)[0])(z)

    return Reference(jax.jit(jax.vmap(log_prob)), draws)


class Enumerated(NamedTuple):
    """All derivations of at most five rules with their probabilities, found by a list for a stack."""

    grammar: Grammar
    derivation: Any

    def table(self) -> Any:
        tables, network, length = self.grammar.tables, self.derivation.network, 5
        found: list[Any] = []

        def grow(numbers: list[int], stack: list[int], state: Any, total: float, left: int) -> None:
            if not stack:
                found.append((numbers + [self.grammar.end] * (length - len(numbers)), total))
                return
            state, features = network.step(state, network.embed(numbers[-1] if numbers else self.grammar.end))
            fits = np.flatnonzero((tables.left == stack[-1]) & (tables.extra <= left))
            logits = np.asarray(network.logits(features), np.float64)[fits]
            for rule, log_prob in zip(fits.tolist(), logits - scipy.special.logsumexp(logits), strict=True):
                grown = stack[:-1] + tables.pushes[rule, : tables.counts[rule]].tolist()
                grow([*numbers, rule], grown, state, total + log_prob, left - int(tables.extra[rule]))

        grow([], [0], network.start, 0.0, length - tables.least)
        return np.array([value for value, _ in found]), np.array([log_prob for _, log_prob in found])

    def log_probs(self, values: Any) -> Any:
        known, log_probs = self.table()
        return log_probs[(np.asarray(values)[:, None] == known[None]).all(axis=-1).argmax(axis=1)]

    def draws(self, n: int) -> Any:
        known, log_probs = self.table()
        return jnp.asarray(known[np.random.default_rng(1).choice(len(known), n, p=np.exp(log_probs))])
