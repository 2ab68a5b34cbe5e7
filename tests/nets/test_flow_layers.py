import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.bijections.bijection import Stacked
from vae_jax.nets.conditioners import init_layers
from vae_jax.nets.flow_layers import FLOWS, stacked_layers

Z = jnp.array([0.3, -1.2, 0.7, 2.0, -0.4])
kinds = pytest.mark.parametrize("kind", FLOWS)


@kinds
def test_a_layer_starts_as_the_vector_turned_around(kind: str) -> None:
    """The last kernel of each conditioner is zero. Of an odd size the halves of a coupling differ."""
    sizes, make = FLOWS[kind](5, (4,))
    y, log_det = jax.jit(lambda key: make(init_layers(key, sizes)).forward(Z))(jax.random.key(0))
    np.testing.assert_allclose(y, Z[::-1], atol=1e-6)
    np.testing.assert_allclose(log_det, 0.0, atol=1e-6)


@kinds
def test_layers_are_stacked_and_one_kind_of_pytree(kind: str) -> None:
    """Else a scan could not carry them."""
    sizes, make = FLOWS[kind](5, (4,))
    params = jax.eval_shape(lambda key: stacked_layers(key, 3, sizes), jax.random.key(0))
    assert {leaf.shape[0] for leaf in jax.tree.leaves(params)} == {3}
    shapes = jax.eval_shape(lambda params: Stacked(make(params)).forward(Z), params)
    assert [part.shape for part in shapes] == [(5,), ()]
    again = FLOWS[kind](5, (4,))[1](params)
    assert jax.tree.structure(make(params)) == jax.tree.structure(again)


def test_every_layer_of_a_stack_has_parameters_of_its_own() -> None:
    one, two = jax.jit(lambda key: stacked_layers(key, 2, (3, 4, 2)))(jax.random.key(0))["kernel0"]
    assert not np.array_equal(one, two)
