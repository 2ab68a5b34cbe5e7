"""Models of many layers along one path: what their parameters are called, how they start, and what they refuse."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.flows import Transformed
from vae_jax.nets.flow_heads import FlowHead
from vae_jax.nets.ladder import LayerPrior, dense_ladder, grid_ladder, ladder_init, ladder_vae
from vae_jax.nets.likelihoods import BernoulliHead
from vae_jax.nets.pixelcnn import AutoregressiveHead

SHAPE = (8, 8, 1)
BITS = BernoulliHead(np.full(SHAPE, 0.3, np.float32))
BATCH = {"x": jnp.asarray(np.random.default_rng(0).integers(0, 2, (4, *SHAPE)), jnp.float32)}
X = BATCH["x"][0]
LADDERS = {
    "dense": (dense_ladder(SHAPE, BITS, layers=3, size=4, width=8), [(4,)] * 3, (8,)),
    "through a flow": (
        dense_ladder(SHAPE, BITS, layers=2, size=4, width=8, flow=FlowHead(4, 2, (8,), "iaf")),
        [(4,)] * 2,
        (8,),
    ),
    "grid": (
        grid_ladder(SHAPE, BITS, layers=(1, 2), size=3, channels=(4, 6)),
        [(4, 4, 3), (2, 2, 3), (2, 2, 3)],
        (2, 2, 6),
    ),
    "pixel by pixel": (
        grid_ladder(SHAPE, AutoregressiveHead(BITS, 1), layers=(2,), size=2, channels=(4,)),
        [(4, 4, 2)] * 2,
        (4, 4, 4),
    ),
}


# Two grids repeat what one grid of pixel by pixel shows, and take the longest.
@pytest.fixture(params=["dense", "through a flow", pytest.param("grid", marks=pytest.mark.slow), "pixel by pixel"])
def case(request: pytest.FixtureRequest):
    ladder, shapes, start = LADDERS[request.param]
    return ladder_vae(ladder), jax.jit(ladder_init(ladder))(jax.random.key(0), BATCH), shapes, start


def test_the_layers_have_their_shapes_the_lowest_first(case) -> None:
    vae, params, shapes, start = case
    names = {f"layer{i}" for i in range(1, len(shapes) + 1)}
    assert set(params) == {"encoder", "decoder", "start"} | names
    assert set(params["layer1"]) == {"prior", "posterior", "step"}
    assert params["start"].shape == start
    assert list(vae.encode(params, X).event_shape) == list(vae.prior(params).event_shape) == shapes
    assert vae.decode(params, drawn(vae, params)).event_shape == SHAPE
    assert [mean.shape for mean in vae.encode(params, X).means] == shapes


def drawn(vae: vj.VAE, params: Any) -> Any:
    return vae.prior(params).sample(jax.random.key(1))


def test_a_posterior_starts_near_its_prior(case) -> None:
    vae, params, shapes, _ = case
    closed = all(isinstance(layer, vj.DiagNormal) for layer in vae.encode(params, X).layers(drawn(vae, params)))
    # The KL of a flow is drawn, and may be a little below 0.
    terms_of = vj.elbo_terms if closed else partial(vj.sampled_terms, num_samples=500)
    terms = terms_of(vae, params, jax.random.key(2), X)
    assert terms.kl.shape == (len(shapes),)
    assert (terms.kl > (0.0 if closed else -0.1)).all()
    assert float(terms.kl.sum()) < 2.0
    assert np.isfinite(terms.log_likelihood)


def test_the_flow_stands_on_the_highest_layer_and_is_entered_at_its_centre() -> None:
    ladder, _, _ = LADDERS["through a flow"]
    vae, params = ladder_vae(ladder), ladder_init(ladder)(jax.random.key(0), BATCH)
    moved = jax.tree.map(lambda leaf: leaf + 0.1, params)
    posterior = vae.encode(moved, X)
    lowest, highest = posterior.layers(drawn(vae, moved))
    assert isinstance(lowest, vj.DiagNormal)
    assert isinstance(highest, Transformed)
    expected = highest.bijection.forward(highest.base.mean)[0]
    assert not np.allclose(expected, highest.base.mean)
    np.testing.assert_allclose(posterior.means[1], expected, rtol=1e-6)


def test_bounds_and_estimators_have_gradients_everywhere(case) -> None:
    vae, params, _, _ = case
    for estimate in (vj.total(vj.iwae), vj.dreg(vj.iwae), vj.stl(vj.elbo)):
        # At the start x says nothing to q through zero weights, so parameters are moved away from there.
        moved = jax.tree.map(lambda leaf: leaf + 0.1, params)
        slopes = jax.jit(jax.grad(lambda p: estimate(vae, p, jax.random.key(3), X, num_samples=3)))(moved)  # noqa: B023
        for path, slope in jax.tree.leaves_with_path(slopes):
            assert np.isfinite(slope).all(), path
            assert np.any(slope != 0.0), path


def test_one_example_and_a_batch_give_the_same(case) -> None:
    vae, params, _, _ = case
    keys = jax.random.split(jax.random.key(4), 4)
    one = lambda key, x: vj.log_weights(vae, params, key, x, num_samples=2)
    batch = jax.jit(jax.vmap(one))(keys, BATCH["x"])
    np.testing.assert_allclose(batch[2], one(keys[2], BATCH["x"][2]), rtol=1e-4)


def test_a_grid_needs_channels_for_each_of_its_halvings() -> None:
    with pytest.raises(ValueError, match="must be equally many"):
        grid_ladder(SHAPE, BITS, layers=(1, 2), size=3, channels=(4,))
    with pytest.raises(ValueError, match="its sides must be multiples of 16"):
        grid_ladder(SHAPE, BITS, layers=(1, 1, 1, 1), size=3, channels=(4, 4, 4, 4))


@pytest.mark.parametrize(("logit", "bound"), [(1e6, np.exp(5.0)), (-1e6, np.exp(-5.0))])
def test_a_scale_that_runs_away_is_held(logit: float, bound: float) -> None:
    head = LayerPrior(3, nn.silu)
    params = head.init(jax.random.key(0), jnp.ones(4))["params"]
    params["Normal_0"]["Dense_0"]["bias"] = jnp.full(6, logit)
    np.testing.assert_allclose(head.apply({"params": params}, jnp.ones(4)).scale, bound, rtol=1e-5)
