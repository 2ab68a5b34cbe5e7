"""What a distribution is: an immutable pytree that gives samples and log-densities of one example.

A distribution is any pytree with two methods (`Distribution` below): `sample(key, shape=())` draws
values of shape `shape + event_shape`, and `log_prob(value)` is the log-density of ONE value, a scalar in
nats. There is no batch shape: a batch of distributions is a distribution whose leaves were stacked by
`jax.vmap`, and it is used inside another `jax.vmap`. Objects of other libraries that have these two methods
(numpyro's with `.to_event()`) work as they are.

Distributions with independent elements have a third method: `log_probs(value)` is the log-density of every element,
in the event shape, so that some can be left out (`Masked`) or mixed (`ElementMixture`). Parameters of such a
distribution have the event shape, or are scalars.

Estimators never call `log_prob` on a sample of their own, whose density is often known at once; they call
`sample_and_log_prob` or `sample_and_path_log_prob` of this module, which use the distribution's method of
that name where it has one (a flow never inverts its own sample) and the two basic methods otherwise.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key


@runtime_checkable
class Distribution(Protocol):
    """What every posterior, prior and likelihood must offer. It must also be a pytree."""

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Any:
        """Draw values of shape `shape + event_shape` (a pytree of them for structured events)."""
        ...

    def log_prob(self, value: Any) -> Array:
        """Log-density of one `value`: a scalar, in nats."""
        ...


def sample_and_log_prob(distribution: Any, key: Key) -> tuple[Any, Array]:
    """One sample `z` and `log q(z)`, nats, with the full gradient (through `z` and through the parameters)."""
    if hasattr(distribution, "sample_and_log_prob"):
        return distribution.sample_and_log_prob(key)
    value = distribution.sample(key)
    return value, distribution.log_prob(value)


def sample_and_path_log_prob(distribution: Any, key: Key) -> tuple[Any, Array]:
    """One sample `z` and `log q(z)`, nats, whose gradient flows through `z` alone (the path derivative)."""
    if hasattr(distribution, "sample_and_path_log_prob"):
        return distribution.sample_and_path_log_prob(key)
    value = distribution.sample(key)
    return value, freeze(distribution).log_prob(value)


def log_probs(distribution: Any, value: Any) -> Any:
    """`distribution.log_probs(value)`. TypeError where the elements of the distribution are not independent."""
    if not hasattr(distribution, "log_probs"):
        raise TypeError(
            f"{type(distribution).__name__} has no log_probs: its elements are not independent, so that none can be "
            "left out or mixed by itself."
        )
    return distribution.log_probs(value)


def draws(one: Callable[[Key], Any], key: Key, shape: tuple[int, ...]) -> Any:
    """`one(key)` for every place of `shape`, each with its own key; the results are stacked."""
    if not shape:
        return one(key)
    for _ in shape:
        one = jax.vmap(one)
    return one(jax.random.split(key, shape))


def check_reparameterised(where: str, distribution: Any) -> None:
    """TypeError for a distribution whose samples carry no gradient, or that contains such a distribution."""

    def marked(node: Any) -> bool:
        return hasattr(type(node), "reparameterised")

    for node in jax.tree.leaves(distribution, is_leaf=marked):
        if not getattr(node, "reparameterised", True):
            raise TypeError(
                f"{where}: samples of the posterior {type(node).__name__} carry no gradient, so its result would be "
                "wrong. For discrete latents: score(bound)."
            )
