"""The products in a traced program, each replaced by what a rule makes of it, whatever library its networks are of.

A program is a function of arrays, with its loops, branches and the gradient that was taken of it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
from jax.extend import core, source_info_util

from vae_jax.core.types import Array

_PRODUCTS = ("dot_general", "conv_general_dilated")
# The gradients, the axes or the memory of the programs in these are their own affair.
_OF_THEIR_OWN = ("custom_", "shard_map", "xla_pmap", "pallas_call")

# A sum over fewer is not worth a transposition of its result.
_MANY_ROWS = 512

# A program with its arrays. Since jax 0.12 every program has them.
_Closed: Any = getattr(core, "ClosedJaxpr", core.Jaxpr)

# `(primitive, operands, params) -> product`, for a product of matrices or a convolution.
Rule = Callable[[core.Primitive, list[Array], dict[str, Any]], Array]


def with_products(rule: Rule, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with each product made by `rule`. Differentiate it first, so that those of the gradient are too."""

    def replaced(*arguments: Any) -> Any:
        closed, result = jax.make_jaxpr(function, return_shape=True)(*arguments)
        values = _evaluated(rule, closed, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(result), values)

    return replaced


def _evaluated(rule: Rule, closed: Any, arguments: Sequence[Any]) -> list[Any]:
    """What a traced program computes, its products made by `rule`."""
    jaxpr = closed.jaxpr
    values: dict[core.Var, Any] = dict(
        zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *arguments], strict=True)
    )

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        # With the line that wrote it and the name of its layer, which errors and profiles show.
        source = equation.source_info
        names = source_info_util.current_name_stack() + source.name_stack
        with equation.ctx.manager, source_info_util.user_context(source.traceback, name_stack=names):
            results = _applied(rule, equation, [value(atom) for atom in equation.invars])
        values |= dict(zip(equation.outvars, results, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _applied(rule: Rule, equation: core.JaxprEqn, operands: list[Any]) -> Sequence[Any]:
    primitive, params = equation.primitive, dict(equation.params)
    if primitive.name in _PRODUCTS:
        return [rule(primitive, operands, params)]
    if not primitive.name.startswith(_OF_THEIR_OWN):
        params = {name: _rewritten(rule, part) for name, part in params.items()}
    results = primitive.bind(*operands, **primitive.get_bind_params(params))
    return results if primitive.multiple_results else [results]


def _rewritten(rule: Rule, part: Any) -> Any:
    """A parameter of an operation; the programs in it, as of a loop or a branch, have their products by `rule`."""
    # A record, as the rules of a gather or of keys, is one thing.
    if type(part) is tuple:
        return tuple(_rewritten(rule, item) for item in part)
    if isinstance(part, core.Jaxpr) and not isinstance(part, _Closed):
        return _rewritten(rule, _Closed(part, ())).jaxpr
    if not isinstance(part, _Closed):
        return part
    return jax.make_jaxpr(lambda *arguments: _evaluated(rule, part, arguments))(*part.in_avals)


def over_rows(primitive: core.Primitive, operands: list[Array], params: dict[str, Any]) -> Array:
    """The same product; where it sums over the first axes of both operands, in the form that XLA on CPU is fast with.

    The gradient of a matrix of weights is such a sum, over examples, draws and pixels. Of several axes XLA would first
    write an operand anew, transposed; and with the wider operand first a product can take twice as long.
    """
    if primitive.name != "dot_general":
        return primitive.bind(*operands, **params)
    (summed, also_summed), (batched, _) = params["dimension_numbers"]
    count = len(summed)
    leading = tuple(summed) == tuple(also_summed) == tuple(range(count))
    if not count or not leading or batched or any(operand.ndim == count for operand in operands):
        return primitive.bind(*operands, **params)
    first, second = (x.shape[count:] for x in operands)
    rows = [lax.reshape(x, (math.prod(x.shape[:count]), math.prod(x.shape[count:]))) for x in operands]
    params = params | {"dimension_numbers": (((0,), (0,)), ((), ()))}
    if len(rows[0]) < _MANY_ROWS:
        return lax.reshape(primitive.bind(*rows, **params), (*first, *second))
    is_wide = math.prod(first) > math.prod(second)
    # Behind a barrier, since XLA puts them in the order that saves it the transposition.
    product = lax.optimization_barrier(primitive.bind(*(rows[::-1] if is_wide else rows), **params))
    return lax.reshape(product.T if is_wide else product, (*first, *second))
