import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.core.checks import check_count, check_key, check_log_weights, check_value


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
