import jax
import numpy as np
import pytest

import vae_jax as vj
from tests.members import X, linear_gaussian_params
from vae_jax.evaluate import weighed
from vae_jax.models.linear_gaussian import linear_gaussian
from vae_jax.models.vae import one_log_weight


@pytest.mark.parametrize("k", [1, 30, 400])
def test_the_same_as_of_a_model(k: int) -> None:
    params = linear_gaussian_params()
    keys = jax.random.split(jax.random.key(0), 5)

    def log_weights(key):
        # The samples that `log_marginal` draws.
        one = one_log_weight("test", linear_gaussian(), params, key, X)
        return jax.vmap(lambda i: one(jax.random.fold_in(key, i)))(jax.numpy.arange(k))

    found = weighed(jax.jit(jax.vmap(log_weights))(keys))
    of_model = jax.jit(jax.vmap(lambda key: vj.log_marginal(linear_gaussian(), params, key, X, num_samples=k)))
    for ours, expected in zip(found, of_model(keys), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=2e-4, atol=1e-5)


def test_a_weight_by_hand_at_any_size() -> None:
    log_w = np.log([[1.0, 2.0, 3.0], [5.0, 5.0, 0.0 + 1e-300]])
    for shift in (0.0, -1e4, 1e4):
        found = weighed(log_w + shift)
        np.testing.assert_allclose(np.asarray(found.value) - shift, np.log([2.0, 10 / 3]), atol=2e-3)
        np.testing.assert_allclose(found.ess, [36 / 14, 2.0], rtol=1e-5)
        np.testing.assert_allclose(found.standard_error, np.sqrt((3 / np.array([36 / 14, 2.0]) - 1) / 2), rtol=1e-5)
    assert weighed(np.array([[0.0, -np.inf]])).value == pytest.approx(-np.log(2))


@pytest.mark.parametrize(
    ("log_w", "message"),
    [
        (np.zeros(3), r"shape \(n, k\), one row for each example, got \(3,\)"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "1 of 2 rows hold NaN or .inf, row 1 the first"),
        (np.array([[-np.inf, -np.inf]]), "1 of 1 rows hold nothing but weights of 0"),
    ],
)
def test_what_are_no_log_weights_is_refused(log_w: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighed(log_w)
