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
that name where it has one (a flow never inverts its own sample, nor as a layer of a `Chain` or a column of a
`Product`) and the two basic methods otherwise.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key


@runtime_checkable
class Distribution(Protocol):
    """What every posterior, prior and likelihood must offer. It must also be a pytree.

    A posterior whose samples carry no gradient may say so: `reparameterised = False`. Else that is found out.
    """

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
    """One sample `z` and `log q(z)`, nats, whose gradient flows through `z` alone (the path derivative).

    TypeError for a distribution that holds a plain function.
    """
    if hasattr(distribution, "sample_and_path_log_prob"):
        return distribution.sample_and_path_log_prob(key)
    if any(callable(leaf) for leaf in jax.tree.leaves(distribution)):
        raise TypeError(
            f"{type(distribution).__name__} holds a plain function, whose parameters are not seen: they could not be "
            "held still, and a path derivative would be wrong without a word. Give jax.tree_util.Partial(function, "
            "parameters), which calls function(parameters, value)."
        )
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


def discrete(distribution: Any) -> Any:
    """The distribution with each relaxed one that it is or holds replaced by its discrete one (`.discrete`)."""
    return jax.tree.map(
        lambda node: getattr(node, "discrete", node), distribution, is_leaf=lambda node: hasattr(type(node), "discrete")
    )


def discretely(conditional: Callable[[Any], Any], value: Any) -> Any:
    """`discrete` of what a conditional gives of a value. `Partial(discretely, conditional)` is one too."""
    return discrete(conditional(value))


def check_reparameterised(where: str, distribution: Any) -> None:
    """TypeError for a distribution whose samples carry no gradient, or that contains such a distribution.

    TypeError also for one that is no pytree: its parameters could not be held still, and a path derivative would be
    wrong without a word.
    """
    if jax.tree_util.all_leaves([distribution]):
        raise TypeError(
            f"{where}: the posterior {type(distribution).__name__} is no pytree, so its parameters are not seen. "
            "Register the class: @jax.tree_util.register_dataclass above @dataclass."
        )
    if not is_reparameterised(distribution):
        raise TypeError(
            f"{where}: samples of the posterior {type(distribution).__name__} carry no gradient, so its result would "
            "be wrong. For discrete latents: score(bound)."
        )
    if not hasattr(distribution, "reparameterised"):
        for part in jax.tree.leaves(distribution, is_leaf=lambda node: node is not distribution and _draws(node)):
            if _draws(part):
                check_reparameterised(where, part)


def _draws(node: Any) -> bool:
    return hasattr(type(node), "log_prob")


def is_reparameterised(distribution: Any) -> bool:
    """Whether samples carry a gradient: by its own word, `reparameterised`; a class of another package is asked."""
    own = getattr(distribution, "reparameterised", None)
    if own is not None:
        return own
    return type(distribution).__module__.startswith("vae_jax.") or moves(distribution)


def moves(distribution: Any) -> bool:
    """Whether a draw depends on a parameter by more than jumps: whether the derivative of `sample` is more than 0.

    Nothing is computed, so the distribution may be one of shapes alone.
    """
    # Here, since it takes long to import and few need it.
    from jax.extend.core import Literal

    whole, structure = jax.tree.flatten(distribution)
    # A function may be a leaf too, and stays what it is.
    arrays = [i for i, leaf in enumerate(whole) if not callable(leaf)]
    leaves = [jax.ShapeDtypeStruct(jnp.shape(whole[i]), jnp.result_type(whole[i])) for i in arrays]
    real = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    if not real:
        return True

    def pushed(leaves: list[Array], tangents: list[Array]) -> list[Array]:
        def drawn(parameters: list[Array]) -> list[Array]:
            moved = dict(zip(real, parameters, strict=True))
            given = {arrays[i]: moved.get(i, leaf) for i, leaf in enumerate(leaves)}
            parameterised = structure.unflatten([given.get(i, leaf) for i, leaf in enumerate(whole)])
            sample = jax.tree.leaves(parameterised.sample(jax.random.key(0)))
            return [leaf for leaf in sample if jnp.issubdtype(leaf.dtype, jnp.inexact)]

        return jax.jvp(drawn, ([leaves[i] for i in real],), (tangents,))[1]

    traced = jax.make_jaxpr(pushed)(leaves, [leaves[i] for i in real]).jaxpr
    # JAX leaves out what is zero by its rules. So the derivative is not, where the tangents lead to it.
    reached = set(traced.invars[len(leaves) :])
    for equation in traced.eqns:
        if any(not isinstance(atom, Literal) and atom in reached for atom in equation.invars):
            reached |= set(equation.outvars)
    return any(not isinstance(atom, Literal) and atom in reached for atom in traced.outvars)
