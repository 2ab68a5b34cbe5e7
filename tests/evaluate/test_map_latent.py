import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params
from vae_jax.models.linear_gaussian import linear_gaussian


def test_map_is_the_posterior_mean_of_a_gaussian() -> None:
    model, params = linear_gaussian(), linear_gaussian_params()
    posterior = model.encode(params, X)
    found = jax.jit(lambda z: vj.map_latent(model, params, X, z))(jnp.array([3.0, -2.0]))
    np.testing.assert_allclose(found.z, posterior.mean, atol=1e-4)
    expected = model.prior(params).log_prob(found.z) + model.decode(params, found.z).log_prob(X)
    np.testing.assert_allclose(found.log_joint, expected, rtol=1e-6)
    # The start may be narrower than the density, or whole numbers.
    for start in (jnp.array([3.0, -2.0], jnp.bfloat16), jnp.array([3, -2])):
        np.testing.assert_allclose(vj.map_latent(model, params, X, start).z, posterior.mean, atol=1e-4)
    with pytest.raises(ValueError, match="num_steps must be at least 1"):
        vj.map_latent(model, params, X, found.z, num_steps=0)
