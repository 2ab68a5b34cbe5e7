"""Networks of any library in one form: a pure function `apply(params, x)` and its initial parameters."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae_jax.core.types import Key, PyTree

if TYPE_CHECKING:
    from flax import nnx

_STATEFUL = (
    "a network must be a pure function of its parameters and of one example at a time (BatchNorm of one example "
    "is zero). Use a normalisation within the example, LayerNorm, GroupNorm or RMSNorm, and no Dropout."
)


class Network(NamedTuple):
    """A network as a pure function `apply(params, x)`, and its initial parameters."""

    params: PyTree
    apply: Callable[..., Any]


def linen_apply(module: nn.Module) -> Callable[..., Any]:
    """`apply(params, *x)` of a Linen module whose only collection is `params`."""
    return lambda params, *x: module.apply({"params": params}, *x)


def from_linen(module: nn.Module, key: Key, *x: Any) -> Network:
    """A Linen module, initialised from `key` on one example `x`. ValueError if it has mutable state."""
    variables = dict(module.init(key, *x))
    params = variables.pop("params", {})
    if variables:
        raise ValueError(f"from_linen: {type(module).__name__} has the state {sorted(variables)}; {_STATEFUL}")
    return Network(params, linen_apply(module))


def from_nnx(module: "nnx.Module") -> Network:
    """An NNX module, whose `nnx.Param`s become the parameters.

    ValueError if it has any other state (running statistics, the generator of a Dropout): `apply` must be pure.
    """
    from flax import nnx

    graph, params, rest = nnx.split(module, nnx.Param, ...)
    state = sorted({type(leaf).__name__ for _, leaf in nnx.to_flat_state(rest)})
    if state:
        raise ValueError(f"from_nnx: {type(module).__name__} has the state {state}; {_STATEFUL}")

    def apply(params: PyTree, x: Any) -> Any:
        return nnx.merge(graph, params, rest)(x)

    return Network(nnx.to_pure_dict(params), lambda p, x: apply(_restore(params, p), x))


def _restore(state: Any, values: PyTree) -> Any:
    from flax import nnx

    restored = jax.tree.map(lambda leaf: leaf, state)
    nnx.replace_by_pure_dict(restored, values)
    return restored


def from_equinox(module: Any) -> Network:
    """An Equinox module (or any callable pytree): its inexact arrays become the parameters.

    ValueError if it carries an `eqx.nn.State` index, that is, mutable state.
    """
    leaves, treedef = jax.tree.flatten(module)
    nodes = jax.tree.leaves(module, is_leaf=lambda node: type(node).__name__ == "StateIndex")
    if any(type(node).__name__ == "StateIndex" for node in nodes):
        raise ValueError(f"from_equinox: {type(module).__name__} has mutable state; {_STATEFUL}")
    trainable = [hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def apply(params: list[Any], x: Any) -> Any:
        values = iter(params)
        merged = [next(values) if trains else leaf for leaf, trains in zip(leaves, trainable, strict=True)]
        return jax.tree.unflatten(treedef, merged)(x)

    return Network([leaf for leaf, trains in zip(leaves, trainable, strict=True) if trains], apply)
