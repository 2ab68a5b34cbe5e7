from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax

from vae_jax.core.errors import ConfigError
from vae_jax.distributions import DiagNormal, Mixture
from vae_jax.train import precision
from vae_jax.train.precision import check_precision, products_in

W, X, KEY = (
    jax.random.normal(jax.random.key(0), (8, 8)) / 3,
    jax.random.normal(jax.random.key(1), (4, 8)),
    jax.random.key(2),
)
CONV = ("NHWC", "HWIO", "NHWC")


def rounded(x: jax.Array) -> jax.Array:
    return x.astype(jnp.bfloat16).astype(jnp.float32)


def scanned(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.sum(lax.scan(lambda x, _: (jnp.tanh(x @ w), None), x, None, length=3)[0])


def branched(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.sum(lax.cond(x[0, 0] > -9.0, lambda x: x @ w, lambda x: x @ w.T, x) ** 2)


def looped(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.sum(lax.fori_loop(0, 2, lambda _, x: x @ w, x) ** 2)


def again(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.sum(jax.nn.relu(jax.checkpoint(lambda x: jnp.tanh(x @ w))(x)))


def with_rules_of_their_own(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    noise = jax.random.normal(key, x.shape)
    return jnp.sum(jax.nn.softplus(lax.stop_gradient(jax.nn.relu(noise)) + x @ w)) + jax.nn.logsumexp(x @ w)


def mapped(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.sum(jax.vmap(jax.jit(lambda row: jnp.tanh(w @ row)))(x) ** 2)


def drawn(w: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
    # Keys that are made, kept and picked inside, and rows that are gathered.
    keys = lax.map(lambda i: jax.random.fold_in(jax.random.wrap_key_data(jax.random.key_data(key)), i), jnp.arange(4))
    rows = jax.random.permutation(jnp.where(x[0, 0] > -9.0, keys[1], keys[2]), 4)
    return jnp.sum(jnp.tanh(x[rows] @ w) * jax.vmap(lambda key: jax.random.normal(key, (8,)))(keys))


PROGRAMS = [drawn, scanned, branched, looped, again, with_rules_of_their_own, mapped]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_gradient_of_any_program_is_found_in_fewer_digits(program: Any) -> None:
    exact = jax.value_and_grad(program)
    whole, short = (jax.jit(products_in(kind, exact))(W, X, KEY) for kind in ("float32", "bfloat16"))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), whole, exact(W, X, KEY))
    # 8 binary digits of each operand.
    np.testing.assert_allclose(short[0], whole[0], rtol=0.03)
    assert np.linalg.norm(short[1] - whole[1]) < 0.03 * np.linalg.norm(whole[1])
    assert not np.array_equal(short[1], whole[1])
    assert jax.tree.map(lambda leaf: leaf.dtype, short) == jax.tree.map(lambda leaf: leaf.dtype, whole)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_product_is_left_out(program: Any) -> None:
    # Forwards: on a CPU the gradient of weights stays float32.
    text = jax.jit(products_in("bfloat16", program)).lower(W, X, KEY).as_text()
    products, rounded = text.count("stablehlo.dot_general"), text.count("xbf16>, tensor<")
    assert products == rounded > 0


def test_the_products_of_muon_are_rounded_too() -> None:
    # It makes a batch of one of each matrix, which is no batch.
    tx, params = optax.contrib.muon(1.0), {"w": W}
    update = lambda gradient: tx.update({"w": gradient}, tx.init(params), params)[0]["w"]
    text = jax.jit(products_in("bfloat16", update)).lower(W).as_text()
    assert text.count("stablehlo.dot_general") == text.count("xbf16>, tensor<") > 0
    whole, short = (jax.jit(products_in(kind, update))(W) for kind in ("float32", "bfloat16"))
    assert 0.0 < np.linalg.norm(short - whole) < 0.05 * np.linalg.norm(whole)


def test_a_product_is_that_of_rounded_operands_summed_in_float32() -> None:
    product = jax.jit(products_in("bfloat16", lambda a, b: a @ b))(X, W)
    np.testing.assert_allclose(product, np.float64(rounded(X)) @ np.float64(rounded(W)), rtol=1e-5, atol=1e-6)
    assert product.dtype == jnp.float32


def test_what_jax_takes_by_default_is_no_wish_of_a_product() -> None:
    with jax.default_matmul_precision("highest"):
        product = jax.jit(products_in("bfloat16", lambda a, b: a @ b))(X, W)
    np.testing.assert_allclose(product, np.float64(rounded(X)) @ np.float64(rounded(W)), rtol=1e-5, atol=1e-6)


def test_a_density_that_asks_for_all_digits_has_them() -> None:
    loc, weights = jax.random.normal(KEY, (50, 20)), jnp.zeros(50)
    mixture = Mixture(weights, DiagNormal(loc, jnp.full((50, 20), 0.1)))
    z = loc[:8] + 0.1 * jax.random.normal(jax.random.key(3), (8, 20))
    whole, short = (jax.jit(products_in(kind, jax.vmap(mixture.log_prob)))(z) for kind in ("device", "bfloat16"))
    np.testing.assert_allclose(short, whole, rtol=1e-6)


def test_what_is_no_float32_product_stays_as_it_is() -> None:
    for operand in (jnp.arange(6).reshape(2, 3), jnp.ones((2, 3), jnp.float16)):
        computed = jax.jit(products_in("bfloat16", lambda x: x @ x.T))(operand)
        np.testing.assert_array_equal(computed, operand @ operand.T)
        assert computed.dtype == operand.dtype
    image, kernel = jax.random.normal(KEY, (1, 5, 5, 2)), jax.random.normal(KEY, (3, 3, 2, 4))

    def convolved(image: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(image, kernel, (1, 1), "SAME", dimension_numbers=CONV)

    # On a CPU it would be slower.
    computed = jax.jit(products_in("bfloat16", convolved))(image, kernel)
    expected = convolved(image, kernel)
    if jax.default_backend() == "cpu":
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=1e-5)
    else:
        assert not np.array_equal(computed, expected)


def test_the_device_chooses_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = jax.jit(products_in("device", jax.value_and_grad(scanned))).lower(W, X, KEY).as_text()
    assert "precision = [HIGHEST" not in told
    assert "bf16" not in told
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert products_in("device", scanned) is scanned


def test_the_sum_over_examples_and_draws_is_one_where_they_lie_together(monkeypatch: pytest.MonkeyPatch) -> None:
    gradient = jax.grad(lambda w: jnp.sum(jax.vmap(jax.vmap(lambda row: jnp.tanh(row @ w)))(X.reshape(2, 2, 8))))
    for kind in ("device", "float32", "bfloat16"):
        assert "contracting_dims = [0] x [0]" in jax.jit(products_in(kind, gradient)).lower(W).as_text()
    with jax.set_mesh(jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))):
        # They may lie on several devices.
        assert products_in("device", gradient) is gradient
        assert "contracting_dims = [0, 1] x [0, 1]" in jax.jit(products_in("float32", gradient)).lower(W).as_text()


def test_what_the_device_cannot_do_fast_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_precision("device")
    check_precision("float32")
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    with pytest.raises(ConfigError, match="--precision tf32 is of NVIDIA's GPUs, and this is a cpu"):
        check_precision("tf32")
    times = {"float32": 2.0, "bfloat16": 3.0}
    monkeypatch.setattr(precision, "_milliseconds", times.__getitem__)
    with pytest.raises(ConfigError, match=r"slower on this CPU.*3.0 ms for a product that takes 2.0 ms in float32"):
        check_precision("bfloat16")
    times["bfloat16"] = 1.0
    check_precision("bfloat16")


def test_the_time_of_a_product_is_measured() -> None:
    assert precision._milliseconds("float32") > 0
