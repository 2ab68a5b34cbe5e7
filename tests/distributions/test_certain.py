import jax
import jax.numpy as jnp
import pytest

import vae_jax as vj
from vae_jax.distributions import check_reparameterised

KEY = jax.random.key(0)
CODES = jnp.array([[1, 4], [0, 2]])


def test_all_probability_is_on_the_value() -> None:
    certain = vj.Certain(CODES)
    assert certain.event_shape == (2, 2)
    assert float(certain.log_prob(CODES)) == 0.0
    assert float(certain.log_prob(CODES.at[1, 1].set(3))) == -jnp.inf
    assert certain.sample(KEY, (3,)).tolist() == [CODES.tolist()] * 3
    total = sum(jnp.exp(vj.Certain(jnp.array([1])).log_prob(jnp.array([i]))) for i in range(4))
    assert float(total) == 1.0


def test_of_several_grids() -> None:
    both = vj.Certain((CODES, jnp.array([7])))
    assert both.event_shape == ((2, 2), (1,))
    assert float(both.log_prob((CODES, jnp.array([7])))) == 0.0
    assert float(both.log_prob((CODES, jnp.array([6])))) == -jnp.inf
    assert both.sample(KEY, (5,))[1].shape == (5, 1)
    assert jax.tree.map(jnp.shape, jax.vmap(vj.Certain)(jnp.zeros((4, 2), jnp.int32))).value == (4, 2)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"value must be one event of shape \(2, 2\), got \(2,\)"):
        vj.Certain(CODES).log_prob(CODES[0])
    with pytest.raises(TypeError, match="typed PRNG key"):
        vj.Certain(CODES).sample(0)  # pyright: ignore
    with pytest.raises(TypeError, match="samples of the posterior Certain carry no gradient"):
        check_reparameterised("total", vj.Certain(CODES))
