import jax
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.nets.starts import continuous_start_logits, start_log_counts, start_logits

MEANS = np.array([0.0, 0.02, 0.5, 0.9, 1.0])


@pytest.mark.parametrize(
    ("mean_of", "most"),
    [
        (lambda m: vj.Bernoulli(start_logits(m)).mean, 0.011),
        (lambda m: vj.ContinuousBernoulli(jax.numpy.asarray(continuous_start_logits(m), np.float32)).mean, 0.011),
        (lambda m: vj.Poisson(start_log_counts(m, 16)).mean / 16, 0.0011),
    ],
)
def test_the_mean_is_that_of_the_data_kept_from_the_ends(mean_of, most: float) -> None:
    np.testing.assert_allclose(mean_of(MEANS), MEANS, atol=most)
