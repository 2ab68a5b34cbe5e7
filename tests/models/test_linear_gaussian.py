import jax
import numpy as np
import scipy.stats

from tests.members import X, linear_gaussian_decoder, linear_gaussian_params
from vae_jax.models.linear_gaussian import linear_gaussian, marginal


def test_marginal_against_scipy_and_bayes() -> None:
    decoder, params, model = linear_gaussian_decoder(), linear_gaussian_params(), linear_gaussian()
    p = marginal(decoder)
    np.testing.assert_allclose(
        p.log_prob(X), scipy.stats.multivariate_normal(p.mean, p.covariance).logpdf(X), rtol=1e-5
    )
    # Bayes' rule at any z: log p(x) = log p(z) + log p(x | z) − log p(z | x).
    z = jax.random.normal(jax.random.key(0), (2,))
    found = model.prior(params).log_prob(z) + model.decode(params, z).log_prob(X) - model.encode(params, X).log_prob(z)
    np.testing.assert_allclose(found, p.log_prob(X), rtol=1e-5)
