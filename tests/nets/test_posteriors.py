import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets.posteriors import DiagNormalHead, FullNormalHead, IsotropicNormalHead, VonMisesFisherHead

HEADS = {"diagonal": DiagNormalHead, "isotropic": IsotropicNormalHead, "full": FullNormalHead}


@pytest.mark.parametrize("name", HEADS)
def test_posterior_heads(name: str) -> None:
    head = HEADS[name](size=3)
    features = jnp.linspace(-1.0, 1.0, 5)
    q, _ = head.init_with_output(jax.random.key(0), features)
    assert q.event_shape == (3,)
    assert (q.stddev > 0).all()
    if name == "isotropic":
        assert q.scale.shape == ()
    if name == "full":
        np.testing.assert_array_equal(q.tril, q.scale_tril)
        assert (jnp.diagonal(q.tril) > 0).all()


def test_a_direction_starts_broad() -> None:
    q, _ = VonMisesFisherHead(8).init_with_output(jax.random.key(0), jnp.ones(5))
    assert 1.0 < q.concentration < 12.0
    assert q.event_shape == (8,)
