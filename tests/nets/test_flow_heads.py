import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.nets.flow_heads import FlowHead, PlanarHead, RadialHead
from vae_jax.nets.flow_layers import FLOWS

HEADS = {"planar": PlanarHead(4, 3), "radial": RadialHead(4, 3)} | {kind: FlowHead(4, 3, (8,), kind) for kind in FLOWS}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_a_flow_starts_near_its_base_and_knows_x(head) -> None:
    features = jax.random.normal(jax.random.key(0), (2, 6))
    q, variables = jax.jit(head.init_with_output)(jax.random.key(1), features[0])
    z, base = jax.jit(lambda q, key: (q.sample(key), q.base.sample(key)))(q, jax.random.key(2))
    # The layers may change the order of the coordinates.
    np.testing.assert_allclose(jnp.sort(z), jnp.sort(base), atol=0.5)
    # One step away from the start, the layers themselves depend on x and not only their base.
    moved = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(jax.random.key(3), leaf.shape), variables)
    layers = [jax.tree.leaves(head.apply(moved, f).bijection) for f in features]
    assert any(not np.array_equal(a, b) for a, b in zip(*layers, strict=True))

    def loss(variables):
        q = head.apply(variables, features[0])
        vae = vj.VAE(lambda p, x: q, lambda p, z: vj.standard_normal(1), lambda p: vj.standard_normal(4))
        return vj.dreg(vj.iwae)(vae, None, jax.random.key(5), jnp.zeros(1), num_samples=3)

    slopes = jax.tree.leaves(jax.jit(jax.grad(loss))(moved))
    assert all(np.isfinite(leaf).all() and jnp.abs(leaf).max() > 0 for leaf in slopes)
