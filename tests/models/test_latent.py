import jax.numpy as jnp
import numpy as np
import scipy.stats

import vae_jax as vj
from vae_jax.models.latent import traverse


def test_manifold_grid_has_equal_steps_of_probability() -> None:
    grid = vj.manifold_grid(5, tail=0.1)
    assert grid.shape == (5, 5, 2)
    np.testing.assert_allclose(scipy.stats.norm.cdf(grid[0, :, 0]), [0.1, 0.3, 0.5, 0.7, 0.9], atol=1e-6)
    assert grid[0, 0, 1] > grid[-1, 0, 1]


def test_interpolation_includes_its_ends() -> None:
    a, b = jnp.array([0.0, 1.0]), jnp.array([2.0, -1.0])
    path = vj.interpolate(a, b, 5)
    np.testing.assert_allclose(path[0], a)
    np.testing.assert_allclose(path[-1], b)
    np.testing.assert_allclose(path[2], [1.0, 0.0])


def test_a_traversal_changes_one_dimension_at_a_time() -> None:
    code, values = jnp.array([1.0, 2.0, 3.0]), jnp.array([-1.0, 0.5])
    found = traverse(code, values)
    assert found.shape == (3, 2, 3)
    for j in range(3):
        for i in range(2):
            np.testing.assert_array_equal(found[j, i], code.at[j].set(values[i]))
    # Each dimension may have values of its own.
    own = jnp.array([[1.0, 5.0, 9.0], [2.0, 6.0, 8.0]])
    np.testing.assert_array_equal(traverse(code, own)[1, 1], [1.0, 6.0, 3.0])
