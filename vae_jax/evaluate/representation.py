"""How good codes are: for reconstructing x, and for telling classes by a linear classifier."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from vae_jax.core.types import Array, Params
from vae_jax.evaluate.batched import in_batches, join, per_model, vectorised
from vae_jax.models.vae import VAE, Autoencoder


def reconstruction_errors(coder: VAE | Autoencoder, params: Params, x: Any) -> np.ndarray:
    """`[n]`: the mean over elements of `(x − E[x | mean code])²` for every example of `x` `[n, …]`.

    AttributeError where the posterior or the likelihood has no mean.
    """
    return join(in_batches(_squared_errors(coder), x, params))


@per_model
def _squared_errors(coder: VAE | Autoencoder) -> Callable[..., Array]:
    def squared_error(params: Params, i: Array, x: Any) -> Array:
        del i
        return jnp.mean(jnp.square(x - coder.decode(params, coder.encode(params, x).mean).mean))

    return vectorised(squared_error, shared=1)


def linear_probe(codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray) -> float:
    """Test accuracy of logistic regression on standardised codes `[n, d]` with labels `[n]`.

    The classifier is scikit-learn's, with its default penalty. ValueError where all training labels are equal.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if len(np.unique(labels)) < 2:
        raise ValueError("linear_probe: the labels must be of at least two classes.")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return float(model.fit(codes, labels).score(test_codes, test_labels))
