import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

import vae_jax as vj


def test_products_with_matrices_cost_thousandths_of_a_nat() -> None:
    """Against float64, for 500 narrow components of 50 dimensions: the error that the docstring states."""
    components, size, stddev = 500, 50, np.float32(0.05)
    random = np.random.default_rng(0)
    mean = random.normal(size=(components, size)).astype(np.float32)
    values = (mean[:200] + stddev * random.normal(size=(200, size))).astype(np.float32)
    mixture = vj.Mixture(jnp.zeros(components), vj.DiagNormal(jnp.asarray(mean), jnp.full(mean.shape, stddev)))
    found = jax.vmap(mixture.log_prob)(jnp.asarray(values))
    squared = np.square((values[:, None].astype(np.float64) - mean[None]) / np.float64(stddev)).sum(-1)
    each = -0.5 * squared - size * (np.log(np.float64(stddev)) + 0.5 * np.log(2 * np.pi)) - np.log(components)
    error = np.asarray(found, np.float64) - logsumexp(each, axis=1)
    assert np.sqrt(np.mean(np.square(error))) < 2e-3
    assert np.abs(error).max() < 1e-2
