import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

import vae_jax as vj
from vae_jax.evaluate.representation import linear_probe, reconstruction_errors


def test_errors_of_a_known_autoencoder() -> None:
    # The code is the first element; both are decoded to it.
    coder = vj.Autoencoder(
        encode=lambda params, x: vj.PointMass(params * x[:1]),
        decode=lambda params, z: vj.DiagNormal(jnp.repeat(z / params, 2), jnp.ones(2)),
    )
    x = np.array([[1.0, 1.0], [2.0, 5.0]])
    np.testing.assert_allclose(reconstruction_errors(coder, jnp.array(2.0), x), [0.0, 4.5], rtol=1e-6)


def test_the_probe_reads_what_is_linear_and_nothing_from_noise() -> None:
    x, y = load_digits(return_X_y=True)
    assert linear_probe(x[:1000], y[:1000], x[1000:], y[1000:]) > 0.9
    noise = np.random.default_rng(0).normal(size=x.shape)
    assert linear_probe(noise[:1000], y[:1000], noise[1000:], y[1000:]) < 0.16
    # Whatever the scale of a dimension.
    scaled = x * np.logspace(-3, 3, x.shape[1])
    np.testing.assert_allclose(
        linear_probe(scaled[:1000], y[:1000], scaled[1000:], y[1000:]),
        linear_probe(x[:1000], y[:1000], x[1000:], y[1000:]),
        atol=0.01,
    )


def test_one_class_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two classes"):
        linear_probe(np.zeros((4, 2)), np.zeros(4), np.zeros((4, 2)), np.zeros(4))
