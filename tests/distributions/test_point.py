import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.distributions.point import PointMass

KEY = jax.random.key(0)


def test_every_sample_is_the_value() -> None:
    point = PointMass(jnp.array([1.0, -2.0]))
    assert point.event_shape == (2,)
    assert point.sample(KEY, (3,)).tolist() == [[1.0, -2.0]] * 3
    assert (point.mean == point.sample(jax.random.key(1))).all()


def test_samples_carry_the_gradient_of_the_value() -> None:
    slope = jax.grad(lambda v: jnp.sum(jnp.square(PointMass(v).sample(KEY))))(jnp.array([1.0, 3.0]))
    assert slope.tolist() == [2.0, 6.0]


def test_there_is_no_density() -> None:
    with pytest.raises(TypeError, match=r"no density.*no bound on log p\(x\)"):
        PointMass(jnp.zeros(2)).log_prob(jnp.zeros(2))


def test_a_point_has_no_density_and_freezes() -> None:
    point = vj.PointMass(jnp.array([1.0, 2.0]))
    np.testing.assert_array_equal(point.sample(jax.random.key(0), (3,)), [[1.0, 2.0]] * 3)
    assert point.event_shape == (2,)
    with pytest.raises(TypeError, match="a point mass has no density"):
        point.log_prob(jnp.array([1.0, 2.0]))
