from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import vae_jax as vj
from vae_jax.models.conditional import paired


def _shifted(y: Any) -> vj.VAE:
    """x = y w + z + ε, all of one dimension: given y, N(y w, 2)."""
    return vj.VAE(
        encode=lambda p, x: vj.DiagNormal(0.5 * (x - y * p), jnp.full(1, 0.8)),
        decode=lambda p, z: vj.DiagNormal(y * p + z, jnp.ones(1)),
        prior=lambda p: vj.standard_normal(1),
    )


def test_pairs_have_the_exact_density_of_x_given_a_continuous_condition() -> None:
    vae, w = paired(_shifted, jnp.linspace(-1.0, 1.0, 5)[:, None]), jnp.array([1.5])
    for y, x in ((-0.7, 0.4), (2.0, 1.0)):
        pair = {"x": jnp.array([x]), "condition": jnp.array([y])}
        found = vj.log_marginal(vae, w, jax.random.key(0), pair, num_samples=20_000, chunk_size=1000)
        exact = -0.5 * (x - 1.5 * y) ** 2 / 2 - 0.5 * np.log(2 * np.pi * 2)
        assert abs(found.value - exact) < 4 * found.standard_error + 1e-4
    drawn = jax.vmap(lambda key: vj.generate(vae, w, key).sample(key))(jax.random.split(jax.random.key(1), 500))
    assert drawn["x"].shape == drawn["condition"].shape == (500, 1)
    assert set(np.unique(drawn["condition"])) == {-1.0, -0.5, 0.0, 0.5, 1.0}
