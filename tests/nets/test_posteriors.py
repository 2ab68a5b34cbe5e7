import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.nets.likelihoods import BernoulliHead, NormalHead
from vae_jax.nets.posteriors import DiagNormalHead, FullNormalHead, IsotropicNormalHead

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


def test_the_output_starts_at_the_data_mean() -> None:
    mean = np.array([[0.2, 0.9], [0.0, 1.0]], np.float32)
    p, _ = BernoulliHead(mean).init_with_output(jax.random.key(0), jnp.zeros((2, 2, 1)))
    np.testing.assert_allclose(p.mean, [[0.2, 0.9], [0.01, 0.99]], atol=1e-6)
    n, _ = NormalHead(mean, 0.3, "fixed").init_with_output(jax.random.key(0), jnp.zeros((2, 2, 1)))
    np.testing.assert_allclose(n.mean, mean)
    np.testing.assert_allclose(n.stddev, 0.3, rtol=1e-6)


@pytest.mark.parametrize(("learned", "moves"), [("fixed", False), ("shared", True), ("predicted", True)])
def test_the_scale_of_a_normal_likelihood(learned, moves: bool) -> None:
    head = NormalHead(np.zeros(4, np.float32), 0.5, learned)
    out = 0.1 * jax.random.normal(jax.random.key(0), (4, head.outputs))
    variables = head.init(jax.random.key(1), out)
    assert head.apply(variables, out).event_shape == (4,)
    slope = jax.grad(lambda v, out: head.apply(v, out).log_prob(jnp.ones(4)), argnums=(0, 1))(variables, out)
    has_shared = "log_scale" in variables["params"]
    assert has_shared == (learned == "shared")
    moved = float(jnp.abs(slope[0]["params"]["log_scale"])) if has_shared else float(jnp.abs(slope[1][..., -1]).max())
    assert (moved > 0) or not moves
    assert isinstance(head.apply(variables, out), vj.DiagNormal)
