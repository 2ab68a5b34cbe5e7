import jax
import jax.numpy as jnp
import pytest

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
