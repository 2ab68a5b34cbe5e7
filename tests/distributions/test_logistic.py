"""Counts as bins of a logistic density, in float64 and where a bin is far from the centre."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_expit, logsumexp

import vae_jax as vj

LEVELS = 255
COUNTS = np.arange(LEVELS + 1)


def row(loc: float, scale: float) -> vj.DiscretisedLogistic:
    """One law, once for each count."""
    return vj.DiscretisedLogistic(jnp.full(LEVELS + 1, loc), jnp.array(scale), LEVELS)


@pytest.mark.parametrize(("loc", "scale"), [(3.2, 0.3), (127.5, 20.0), (-40.0, 8.0), (260.0, 1.0), (100.0, 500.0)])
def test_all_counts_sum_to_one_and_have_the_mean_of_their_masses(loc: float, scale: float) -> None:
    d = row(loc, scale)
    masses = np.exp(np.float64(d.log_probs(jnp.asarray(COUNTS))))
    np.testing.assert_allclose(masses.sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(d.mean[0], (masses * COUNTS).sum(), rtol=1e-4, atol=1e-4)
    edges = expit((COUNTS[:-1] + 0.5 - loc) / scale)
    np.testing.assert_allclose(masses, np.diff(edges, prepend=0.0, append=1.0), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 60, 254, 255])
def test_a_bin_far_from_the_centre_keeps_its_digits(count: int) -> None:
    """Where the two ends of a bin are both 1, or both 0, to the last digit of float64."""
    loc, scale = 30.0, np.float64(np.float32(0.05))
    upper, lower = (count + 0.5 - loc) / scale, (count - 0.5 - loc) / scale
    if count == 0:
        expected = log_expit(upper)
    elif count == LEVELS:
        expected = log_expit(-lower)
    else:
        # In the tail that is small: of the two ends mirrored, where the bin is above the centre.
        ends = [upper, lower] if count < loc else [-lower, -upper]
        expected = logsumexp(log_expit(ends), b=[1.0, -1.0])

    def log_prob(loc):
        return vj.DiscretisedLogistic(loc[None], jnp.array(0.05), LEVELS).log_prob(jnp.array([count]))

    found = jax.value_and_grad(log_prob)(jnp.array(loc))
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    chex.assert_tree_all_finite(found)


def test_samples_are_counts_of_the_range() -> None:
    drawn = vj.DiscretisedLogistic(jnp.array([-1e3, 5.0, 1e3]), jnp.array(2.0), 9).sample(jax.random.key(0), (200,))
    assert jnp.issubdtype(drawn.dtype, jnp.integer)
    assert (drawn.min(axis=0).tolist()[0], drawn.max(axis=0).tolist()[2]) == (0, 9)
    assert 0 <= drawn[:, 1].min() < drawn[:, 1].max() <= 9


def test_what_is_no_count_of_the_range_has_no_probability() -> None:
    d = vj.DiscretisedLogistic(jnp.zeros(4), jnp.array(1.0), 9)
    assert np.isneginf(d.log_probs(jnp.array([-1.0, 0.5, 10.0, 9.0]))).tolist() == [True, True, True, False]


def test_half_precision_keeps_the_bins_of_large_counts() -> None:
    exact = vj.DiscretisedLogistic(jnp.full(3, 200.0), jnp.ones(3), 255)
    half = vj.DiscretisedLogistic(jnp.full(3, 200.0, jnp.bfloat16), jnp.ones(3, jnp.bfloat16), 255)
    value = jnp.array([199, 200, 201])
    np.testing.assert_allclose(half.log_probs(value), exact.log_probs(value), rtol=1e-5)
