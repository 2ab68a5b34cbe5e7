import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.core.checks import check_array, check_count, check_key, check_log_weights, check_value, parameter_shape


def test_what_is_right_passes() -> None:
    check_key("f", jax.random.key(0))
    check_key("f", jax.random.key(0, impl="rbg"))
    check_count("f", "k", np.int64(3))
    check_value("D", jnp.zeros(2), (2,))
    check_log_weights("f", jnp.zeros(1))
    jax.jit(lambda key: check_key("f", key))(jax.random.key(0))


@pytest.mark.parametrize("value", [True, 1.0, "3", None])
def test_counts_are_static_integers(value) -> None:
    with pytest.raises(TypeError, match="f: k must be a static integer, got"):
        check_count("f", "k", value)


def test_a_traced_count_is_refused() -> None:
    with pytest.raises((TypeError, jax.errors.TracerIntegerConversionError)):
        jax.jit(lambda k: check_count("f", "k", k))(3)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        (
            {"loc": jnp.zeros(3), "scale": jnp.ones(2)},
            ValueError,
            r"f: got loc of shape \(3,\) and scale of",
        ),
        (
            {"loc": jnp.zeros(3, int)},
            TypeError,
            r"f: loc must be real numbers, got int\d\d\. .*\(loc, float\)",
        ),
        ({"loc": jnp.ones(3, bool)}, TypeError, "got bool"),
        ({"loc": None}, TypeError, "got NoneType"),
        ({"loc": True}, TypeError, "got bool"),
        ({"loc": 1.0}, ValueError, "its last axis must have at least one entry"),
        ({"loc": jnp.zeros((2, 0))}, ValueError, "its last axis must have at least one entry"),
    ],
)
def test_parameters_that_are_none_are_refused(parameters, error, message) -> None:
    with pytest.raises(error, match=message):
        parameter_shape("f", least_rank=1, **parameters)


def test_parameters_broadcast_to_one_shape() -> None:
    assert parameter_shape("f", loc=jnp.zeros((2, 3)), scale=1.0) == (2, 3)
    assert parameter_shape("f", loc=jnp.zeros(3, jnp.bfloat16)) == (3,)


def test_an_array_is_one_and_has_its_axes() -> None:
    check_array("f", "x", jnp.zeros(3), rank=1)
    check_array("f", "x", 1.0, rank=0)
    with pytest.raises(TypeError, match=r"f: x must be an array, got list: jnp.asarray\(x\)"):
        check_array("f", "x", [1.0])
    with pytest.raises(ValueError, match=r"f: x must have 1 axis, got shape \(\)"):
        check_array("f", "x", 1.0, rank=1)
