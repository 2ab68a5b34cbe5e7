"""Products in fewer digits: what `--precision` does to any training step, whatever library its networks are of.

Only products of arrays change. Their operands are rounded just before, and their sums are float32. Everything else,
the densities, the parameters and the sums of an optimiser, stays as it was written; so does a product that asks for all
digits itself, as that of a density does.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from vae_jax.config.compute import Precision
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Array

_PRODUCTS = ("dot_general", "conv_general_dilated")
# How often, and on what, the speed of products is measured.
_REPEATS, _ROWS, _WIDTH = 7, 2048, 512


def products_in(precision: Precision, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its products of float32 arrays in `precision`; "device" leaves them to JAX.

    "bfloat16": operands are rounded to bfloat16. "tf32": to the 19 bits that NVIDIA's units read. "float32": all
    digits, also where a device would take fewer by default. On a CPU products stay float32 where bfloat16 is slower.
    Differentiate a function first, so that the products of its gradient are rounded too.
    """
    if precision == "device":
        return function

    def rounded(*arguments: Any) -> Any:
        # JAX's own default would stand in every product as if the product had asked for it.
        with jax.default_matmul_precision("default"):
            closed, result = jax.make_jaxpr(function, return_shape=True)(*arguments)
        values = _evaluated(precision, closed, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(result), values)

    return rounded


def _evaluated(precision: Precision, closed: core.ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    """What a traced program computes, its products in `precision`."""
    jaxpr = closed.jaxpr
    values: dict[core.Var, Any] = dict(
        zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *arguments], strict=True)
    )

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _applied(precision, equation, [value(atom) for atom in equation.invars])
        values |= dict(zip(equation.outvars, results, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _applied(precision: Precision, equation: core.JaxprEqn, operands: list[Any]) -> Sequence[Any]:
    primitive, params = equation.primitive, dict(equation.params)
    asked = params.get("precision")
    is_exact = asked == lax.Precision.HIGHEST or asked == (lax.Precision.HIGHEST,) * 2
    if primitive.name in _PRODUCTS and all(operand.dtype == jnp.float32 for operand in operands) and not is_exact:
        return [_product(precision, primitive, operands, params)]
    if primitive.name in ("pjit", "jit"):
        return _evaluated(precision, params["jaxpr"], operands)
    # Of these the gradient is their own affair.
    if not primitive.name.startswith("custom_"):
        params = {name: _rewritten(precision, part) for name, part in params.items()}
    results = primitive.bind(*operands, **primitive.get_bind_params(params))
    return results if primitive.multiple_results else [results]


def _rewritten(precision: Precision, part: Any) -> Any:
    """A parameter of an operation; the programs in it, as of a loop or a branch, have their products in `precision`."""
    # A record, as the rules of a gather or of keys, is one thing.
    if type(part) is tuple:
        return tuple(_rewritten(precision, item) for item in part)
    # Since jax 0.12 the two are one.
    if isinstance(part, core.Jaxpr) and not isinstance(part, core.ClosedJaxpr):
        return _rewritten(precision, core.ClosedJaxpr(part, ())).jaxpr
    if not isinstance(part, core.ClosedJaxpr):
        return part
    return jax.make_jaxpr(lambda *arguments: _evaluated(precision, part, arguments))(*part.in_avals)


def _product(precision: Precision, primitive: core.Primitive, operands: list[Array], params: dict[str, Any]) -> Array:
    exact = {"float32": lax.Precision.HIGHEST, "tf32": lax.Precision.HIGH, "bfloat16": lax.Precision.DEFAULT}[precision]
    if precision == "bfloat16":
        if jax.default_backend() == "cpu" and not _is_fast_on_cpu(primitive, operands, params):
            return primitive.bind(*operands, **params)
        operands = [operand.astype(jnp.bfloat16) for operand in operands]
    params |= {"precision": (exact, exact), "preferred_element_type": jnp.dtype(jnp.float32)}
    return primitive.bind(*operands, **params)


def _is_fast_on_cpu(primitive: core.Primitive, operands: Sequence[Array], params: dict[str, Any]) -> bool:
    """Whether a product is one of rows of the first operand, without batches. XLA is faster in bfloat16 with these.

    The gradient of a matrix of weights is none, nor is a convolution: with rounded operands they are slower.
    """
    if primitive.name != "dot_general":
        return False
    (contracted, _), (batched, _) = params["dimension_numbers"]
    # A batch of one, as Muon makes of each matrix, is none.
    alone = all(operands[0].shape[axis] == 1 for axis in batched)
    return alone and tuple(contracted) == (operands[0].ndim - 1,)


def check_precision(precision: Precision) -> None:
    """ConfigError where the device has no units for such products, or is slower with them than with float32."""
    backend = jax.default_backend()
    if precision == "tf32" and backend != "gpu":
        raise ConfigError(f"--precision tf32 is of NVIDIA's GPUs, and this is a {backend}: use --precision float32.")
    if precision == "bfloat16" and backend == "cpu":
        whole, short = (_milliseconds(kind) for kind in ("float32", "bfloat16"))
        if short > whole:
            raise ConfigError(
                f"--precision bfloat16 is slower on this CPU, which has no instructions for it: {short:.1f} ms for a "
                f"product that takes {whole:.1f} ms in float32. Leave it out."
            )


def _milliseconds(precision: Precision) -> float:
    """How long a product takes, its operands rounded first."""
    shape = (_ROWS, _WIDTH)
    product = jax.jit(products_in(precision, lambda a, b: a @ b))
    operands = jnp.full(shape, 0.5), jnp.full(shape[::-1], 0.5)
    times = []
    for _ in range(_REPEATS + 1):
        began = time.perf_counter()
        jax.block_until_ready(product(*operands))
        times.append(time.perf_counter() - began)
    # The first is compiled.
    return 1e3 * statistics.median(times[1:])
