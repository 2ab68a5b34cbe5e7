import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj

KL = jnp.array([[0.5, 2.0], [0.1, 4.0]])
DISTORTION = jnp.array([10.0, 12.0])


def test_free_bits_is_a_maximum_with_the_mean_of_the_batch() -> None:
    # The means are 0.3 and 3: the first dimension is below its bits on average, though not in each example.
    np.testing.assert_allclose(vj.free_bits(KL, least=0.4), 0.4 + 3.0)
    np.testing.assert_allclose(vj.free_bits(KL, least=0.0), KL.sum(axis=1).mean())
    slope = jax.grad(lambda kl: vj.free_bits(kl, least=0.4))(KL)
    np.testing.assert_allclose(slope, [[0.0, 0.5], [0.0, 0.5]])
    with pytest.raises(ValueError, match=r"free_bits: kl must have shape \(B, groups\), got \(2,\)"):
        vj.free_bits(KL[0], least=0.1)


@pytest.mark.parametrize("kl", [KL.sum(axis=1), KL, jnp.stack([KL, KL], axis=-1)], ids=["[B]", "[B, d]", "[B, d, 2]"])
def test_what_free_bits_advises_makes_one_group(kl: jax.Array) -> None:
    with pytest.raises(ValueError, match="For one group") as refused:
        vj.free_bits(jnp.zeros(()), least=0.0)
    advice = str(refused.value).partition("For one group: ")[2].rstrip(".")
    np.testing.assert_allclose(vj.free_bits(eval(advice, {"kl": kl}), least=0.1), kl.sum() / 2, rtol=1e-6)


def test_capacity_holds_the_rate() -> None:
    kl = KL.sum(axis=1)
    np.testing.assert_allclose(vj.capacity(kl, target=1.3), 2.0, rtol=1e-6)
    # The mean over the batch is held, 3.3, not each of 2.5 and 4.1.
    np.testing.assert_allclose(vj.capacity(kl, target=3.0), 0.3, rtol=1e-5)
    assert jax.grad(lambda kl: vj.capacity(kl, target=5.0))(kl).sum() == -1.0
    with pytest.raises(ValueError, match=r"capacity: kl must have shape \(B,\)"):
        vj.capacity(KL, target=1.0)


def test_geco_finds_the_weight_of_a_constraint() -> None:
    """min r(t) = t² subject to d(t) = (3 − t)² <= 1: t = 2 and the multiplier −r'(t) / d'(t) = 2."""

    def loss(params):
        t, log_multiplier = params
        rate, distortion = jnp.full(2, t**2), jnp.full(2, (3.0 - t) ** 2)
        return vj.geco(rate, distortion, log_multiplier, most=1.0)

    params = (jnp.array(0.0), jnp.array(0.0))
    tx = optax.sgd(3e-2)

    @jax.jit
    def step(_, carry):
        params, state = carry
        updates, state = tx.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    (t, log_multiplier), _ = jax.lax.fori_loop(0, 3000, step, (params, tx.init(params)))
    np.testing.assert_allclose(t, 2.0, atol=1e-3)
    np.testing.assert_allclose(jnp.exp(log_multiplier), 2.0, atol=1e-2)
    with pytest.raises(ValueError, match=r"geco: kl and distortion must have shape \(B,\)"):
        vj.geco(KL, DISTORTION, jnp.array(0.0), most=1.0)


def test_bad_arguments_of_the_bound_of_a_dataset() -> None:
    with pytest.raises(ValueError, match=r"bounds must have shape \(M,\), got \(\)"):
        vj.full_data_bound(jnp.array(1.0), dataset_size=5)
    with pytest.raises(ValueError, match="dataset_size must be at least 1"):
        vj.full_data_bound(jnp.ones(2), dataset_size=0)
