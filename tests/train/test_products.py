"""Programs whose products are replaced: the rest stays, and a sum over several axes is one."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas

from tests.train.test_precision import KEY, PROGRAMS, W, X
from vae_jax.train.products import over_rows, with_products


def doubled(primitive: Any, operands: list[Any], params: dict[str, Any]) -> Any:
    return 2.0 * primitive.bind(*operands, **params)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_whose_products_are_joined_computes_the_same(program: Any) -> None:
    exact = jax.value_and_grad(program)
    joined = jax.jit(with_products(over_rows, exact))(W, X, KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), joined, exact(W, X, KEY))


def test_every_product_is_made_by_the_rule() -> None:
    tripled = with_products(doubled, lambda w: lax.fori_loop(0, 3, lambda _, x: x @ w, X))
    np.testing.assert_allclose(tripled(W), 8.0 * X @ W @ W @ W, rtol=1e-5, atol=1e-5)


def test_results_keep_their_structure() -> None:
    found = with_products(over_rows, lambda a: {"all": (a["w"] @ a["w"], a["n"]), "none": None})({"w": W, "n": 3})
    assert found["none"] is None
    assert int(found["all"][1]) == 3
    np.testing.assert_allclose(found["all"][0], W @ W, rtol=1e-5, atol=1e-6)


def over_devices(w: jax.Array) -> jax.Array:
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, parts = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("data")
    summed = jax.shard_map(lambda x, w: lax.psum(x @ w, "data"), mesh=mesh, in_specs=(parts, whole), out_specs=whole)
    return jnp.sum(summed(X, w) ** 2)


def of_one_kernel(w: jax.Array) -> jax.Array:
    def kernel(x: Any, w: Any, out: Any) -> None:
        out[...] = x[...] @ w[...]

    call = pallas.pallas_call(kernel, out_shape=jax.ShapeDtypeStruct(X.shape, X.dtype), interpret=True)
    return jnp.sum(jnp.sin(w @ w)) + jnp.sum(lax.stop_gradient(call(X, lax.stop_gradient(w))))


def of_a_compiled_part(w: jax.Array) -> jax.Array:
    basis = np.linspace(-1.0, 1.0, 64, dtype=np.float32).reshape(8, 8)
    part = jax.jit(lambda x: jnp.tanh(x @ jnp.asarray(basis)))
    looped = lax.scan(lambda x, _: (part(x @ w), None), X, None, length=2)[0]
    return jnp.sum(jax.checkpoint(lambda w: part(looped @ w) ** 2)(w))


@pytest.mark.parametrize("program", [of_a_compiled_part])
def test_programs_may_hold_arrays_of_their_own(program: Any) -> None:
    gradient = jax.value_and_grad(program)
    joined = with_products(over_rows, gradient)
    expected = gradient(W)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), jax.jit(joined)(W), expected)
    found = jax.jit(jax.vmap(joined))(jnp.stack([W, W]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-5, atol=1e-5), found, expected)


@pytest.mark.parametrize("program", [over_devices, of_one_kernel])
def test_programs_with_axes_or_memory_of_their_own_stay(program: Any) -> None:
    gradient = jax.value_and_grad(program)
    joined = jax.jit(with_products(over_rows, gradient))(W)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), joined, gradient(W))


def test_a_product_keeps_the_name_of_its_layer() -> None:
    def program(w: jax.Array) -> jax.Array:
        with jax.named_scope("layer_of_mine"):
            return jnp.sum(jnp.tanh(X @ w))

    text = jax.jit(with_products(over_rows, jax.grad(program))).lower(W).as_text(debug_info=True)
    assert "transpose(jvp(layer_of_mine))/dot_general" in text


def test_a_step_can_be_differentiated() -> None:
    rows = jnp.tile(X, (200, 1))
    step = jax.grad(lambda w: jnp.mean(jnp.tanh(rows @ w) ** 2))
    found = jax.grad(lambda w: jnp.sum(with_products(over_rows, step)(w) ** 2))(W)
    np.testing.assert_allclose(found, jax.grad(lambda w: jnp.sum(step(w) ** 2))(W), rtol=1e-4, atol=1e-7)


def dot(axes: tuple[int, ...], batch: tuple[int, ...] = ()) -> Any:
    return lambda a, b: lax.dot_general(a, b, ((axes, axes), (batch, batch)))


@pytest.mark.parametrize(
    ("product", "shapes", "becomes"),
    [
        # The gradient of a matrix, of examples and draws, and of their parts.
        (dot((0, 1)), ((3, 5, 8), (3, 5, 4)), "[0] x [0]"),
        (dot((0, 1, 2)), ((3, 5, 2, 8), (3, 5, 2, 4)), "[0] x [0]"),
        (dot((0, 1)), ((3, 5, 2, 4), (3, 5, 4)), "[0] x [0]"),
        # One axis is one already. Batches, all axes, other orders and the last axes are left alone.
        (dot((0,)), ((3, 8), (3, 4)), "[0] x [0]"),
        (dot((1,), (0,)), ((3, 5, 8), (3, 5, 4)), "[1] x [1]"),
        (dot((0, 1, 2)), ((3, 5, 8), (3, 5, 8)), "[0, 1, 2] x [0, 1, 2]"),
        (dot((1, 0)), ((3, 5, 8), (3, 5, 4)), "[1, 0] x [1, 0]"),
        (dot((1, 2)), ((8, 3, 5), (4, 3, 5)), "[1, 2] x [1, 2]"),
    ],
)
def test_a_sum_over_the_first_axes_of_both_runs_over_one(product: Any, shapes: Any, becomes: str) -> None:
    operands = [jax.random.normal(jax.random.key(i), shape) for i, shape in enumerate(shapes)]
    joined = jax.jit(with_products(over_rows, product))
    np.testing.assert_allclose(joined(*operands), product(*operands), rtol=1e-5, atol=1e-5)
    assert f"contracting_dims = {becomes}," in joined.lower(*operands).as_text()


@pytest.mark.parametrize(("rows", "widths"), [(600, (8, 4)), (600, (4, 8)), (20, (8, 4))])
def test_of_many_rows_the_narrower_operand_comes_first(rows: int, widths: tuple[int, int]) -> None:
    operands = [jax.random.normal(jax.random.key(i), (rows, width)) for i, width in enumerate(widths)]
    joined = jax.jit(with_products(over_rows, dot((0,))))
    np.testing.assert_allclose(joined(*operands), operands[0].T @ operands[1], rtol=1e-4, atol=1e-4)
    text = joined.lower(*operands).as_text()
    assert ("optimization_barrier" in text) == (rows == 600)
    first = min(widths) if rows == 600 else widths[0]
    assert f"(tensor<{rows}x{first}xf32>, " in text
