import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets.classifier import Classifier
from vae_jax.nets.mlp import OneExample


def test_each_hidden_layer_is_seen_and_the_logits_follow_from_the_last() -> None:
    network = Classifier(OneExample((2, 2, 1), levels=4), (5, 3), 7)
    x = jnp.arange(4.0).reshape(2, 2, 1)
    params = network.init(jax.random.key(0), x)["params"]
    layers, logits = network.apply({"params": params}, x)
    assert [layer.shape for layer in layers] == [(5,), (3,)]
    assert all((layer >= 0.0).all() for layer in layers)
    first, last = params["Dense_0"], params["Dense_2"]
    expected = jnp.maximum(x.ravel() / 4 @ first["kernel"] + first["bias"], 0.0)
    np.testing.assert_allclose(layers[0], expected, rtol=1e-5)
    np.testing.assert_allclose(logits, layers[1] @ last["kernel"] + last["bias"], rtol=1e-5)
    with pytest.raises(ValueError, match="x must be one example"):
        network.apply({"params": params}, jnp.zeros((3, 2, 2, 1)))
