import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import vae_jax as vj
from vae_jax.nets import from_equinox, from_linen, from_nnx

X = jnp.array([0.5, -0.3, 0.8])


def linen():
    modules = (nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(4)]), nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(3)]))
    return from_linen(modules[0], jax.random.key(0), X), from_linen(modules[1], jax.random.key(1), jnp.zeros(2))


def flax_nnx():
    def net(sizes, seed):
        rngs = nnx.Rngs(seed)
        return nnx.Sequential(nnx.Linear(sizes[0], 8, rngs=rngs), nnx.tanh, nnx.Linear(8, sizes[1], rngs=rngs))

    return from_nnx(net((3, 4), 0)), from_nnx(net((2, 3), 1))


def equinox():
    keys = jax.random.split(jax.random.key(0))
    return from_equinox(eqx.nn.MLP(3, 4, 8, 1, key=keys[0])), from_equinox(eqx.nn.MLP(2, 3, 8, 1, key=keys[1]))


@pytest.mark.parametrize("make", [linen, flax_nnx, equinox])
def test_a_step_of_training_improves_the_bound(make) -> None:
    encoder, decoder = make()

    def encode(params, x):
        loc, log_scale = jnp.split(encoder.apply(params["encoder"], x), 2)
        return vj.DiagNormal(loc, jnp.exp(log_scale))

    vae = vj.VAE(
        encode,
        lambda params, z: vj.DiagNormal(decoder.apply(params["decoder"], z), jnp.array(0.5)),
        lambda params: vj.standard_normal(2),
    )
    params = {"encoder": encoder.params, "decoder": decoder.params}
    tx = optax.adam(1e-2)

    def loss(params, key):
        return -vj.total(vj.iwae)(vae, params, key, X, num_samples=8)

    @jax.jit
    def step(params, state, key):
        value, slope = jax.value_and_grad(loss)(params, key)
        updates, state = tx.update(slope, state)
        return optax.apply_updates(params, updates), state, value

    state, key = tx.init(params), jax.random.key(2)
    values = []
    for _ in range(20):
        params, state, value = step(params, state, key)
        values.append(float(value))
    assert values[-1] < values[0]
    assert all(np.isfinite(values))


class _LinenNorm(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=False)(x)


def test_mutable_state_is_refused_with_the_alternative() -> None:
    message = "of one example at a time.*LayerNorm, GroupNorm"
    with pytest.raises(ValueError, match=rf"_LinenNorm has the state \['batch_stats'\].*{message}"):
        from_linen(_LinenNorm(), jax.random.key(0), X)
    with pytest.raises(ValueError, match=rf"BatchNorm has the state \['BatchStat'\].*{message}"):
        from_nnx(nnx.BatchNorm(3, rngs=nnx.Rngs(0)))
    with pytest.raises(
        ValueError, match=rf"Dropout has the state \['RngCount', 'RngKey'\].*{message} or RMSNorm, and no"
    ):
        from_nnx(nnx.Dropout(0.5, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match=rf"BatchNorm has mutable state.*{message}"):
        from_equinox(eqx.nn.BatchNorm(3, axis_name="batch", mode="batch"))
