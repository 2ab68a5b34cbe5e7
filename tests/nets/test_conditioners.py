import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.bijections.table import somewhere
from vae_jax.nets.conditioners import init_layers, made, masked_affine


@pytest.mark.parametrize("sizes", [(1, 4, 2), (4, 8), (4, 3, 8), (5, 7, 9, 15)])
def test_each_output_sees_only_what_is_before_it(sizes: tuple[int, ...]) -> None:
    params = somewhere(0, sizes)
    x = jax.random.normal(jax.random.key(1), (sizes[0],))
    jacobian = jax.jacobian(lambda x: made(params, x))(x)
    assert jacobian.shape == (sizes[-1] // sizes[0], sizes[0], sizes[0])
    for block in jacobian:
        np.testing.assert_array_equal(jnp.triu(block), 0.0)
        if sizes[0] > 1:
            # And all of it: the last output sees every input but its own.
            assert (block[-1, :-1] != 0.0).all()


def test_a_flow_starts_as_the_identity() -> None:
    shift, log_scale = masked_affine(init_layers(jax.random.key(0), (4, 8, 8)), jnp.ones(4))
    np.testing.assert_array_equal(shift, 0.0)
    np.testing.assert_array_equal(log_scale, 0.0)
