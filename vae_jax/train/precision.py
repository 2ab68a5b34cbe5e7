"""Products in fewer digits: what `--precision` does to any training step, whatever library its networks are of.

Only products of arrays change. Their operands are rounded just before, and their sums are float32. Everything else,
the densities, the parameters and the sums of an optimiser, stays as it was written; so does a product that asks for all
digits itself, as that of a density does.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend import core

from vae_jax.config.compute import Precision
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Array
from vae_jax.train.products import Rule, over_rows, with_products

# How often, and on what, the speed of products is measured.
_REPEATS, _ROWS, _WIDTH = 7, 2048, 512


def products_in(precision: Precision, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with its products of float32 arrays in `precision`; "device" leaves their digits to JAX.

    "bfloat16": operands are rounded to bfloat16. "tf32": to the 19 bits that NVIDIA's units read. "float32": all
    digits, also where a device would take fewer by default. On a CPU products stay float32 where bfloat16 is slower.
    Differentiate a function first, so that the products of its gradient are rounded too.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}.")
    # Axes that are cut over devices cannot be joined where they lie.
    joins = jax.default_backend() == "cpu" and jax.sharding.get_abstract_mesh().empty
    bind = over_rows if joins else _as_it_is
    if precision == "device":
        return with_products(bind, function) if joins else function

    def by_default(*arguments: Any) -> Any:
        # JAX's own default would stand in every product as if the product had asked for it.
        with jax.default_matmul_precision("default"):
            return function(*arguments)

    return with_products(partial(_rounded, precision, bind), by_default)


def _as_it_is(primitive: core.Primitive, operands: list[Array], params: dict[str, Any]) -> Array:
    return primitive.bind(*operands, **params)


def _rounded(
    precision: Precision, bind: Rule, primitive: core.Primitive, operands: list[Array], params: dict[str, Any]
) -> Array:
    asked = params.get("precision")
    is_exact = asked == lax.Precision.HIGHEST or asked == (lax.Precision.HIGHEST,) * 2
    if is_exact or any(operand.dtype != jnp.float32 for operand in operands):
        return bind(primitive, operands, params)
    exact = {"float32": lax.Precision.HIGHEST, "tf32": lax.Precision.HIGH, "bfloat16": lax.Precision.DEFAULT}[precision]
    if precision == "bfloat16":
        if jax.default_backend() == "cpu" and not _is_fast_on_cpu(primitive, operands, params):
            return bind(primitive, operands, params)
        operands = [operand.astype(jnp.bfloat16) for operand in operands]
    params |= {"precision": (exact, exact), "preferred_element_type": jnp.dtype(jnp.float32)}
    return bind(primitive, operands, params)


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
