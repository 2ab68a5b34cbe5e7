import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.config import Objective
from vae_jax.systems.parts.rate import cyclical, settled_at, weigh_by

KL = jnp.array([[0.5, 2.0], [0.1, 4.0]])
DISTORTION = jnp.array([10.0, 12.0])


def test_the_weight_rises_once_or_in_cycles() -> None:
    steps = jnp.arange(0, 100, 10)
    np.testing.assert_allclose(cyclical(100, rise=0.0)(steps), 1.0)
    np.testing.assert_allclose(cyclical(100, rise=0.5)(steps), [0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 1], atol=1e-6)
    np.testing.assert_allclose(cyclical(100, rise=0.4, cycles=2)(steps), [0, 0.5, 1, 1, 1] * 2, atol=1e-6)
    # Validation is measured at the end of the run, where no new cycle begins.
    np.testing.assert_allclose(cyclical(100, rise=0.5, cycles=2)(jnp.array([99, 100, 130])), 1.0)


@pytest.mark.parametrize(
    ("objective", "share"),
    [
        (Objective(), 0.0),
        (Objective(beta_warmup=0.3), 0.3),
        (Objective(beta_warmup=0.5, beta_cycles=4), 0.875),
        (Objective(grow_to=(5, 50), grow_at=(0.2, 0.6)), 0.6),
    ],
)
def test_from_there_on_the_loss_stays_the_same(objective: Objective, share: float) -> None:
    assert settled_at(objective) == pytest.approx(share)
    weight = cyclical(1000, rise=objective.beta_warmup, cycles=objective.beta_cycles)
    np.testing.assert_allclose(weight(jnp.arange(round(1000 * share), 1000)), 1.0)


def test_a_config_weighs_the_rate() -> None:
    weigh = lambda objective, step: weigh_by(objective, 100)({"log_multiplier": jnp.log(3.0)}, KL, DISTORTION, step)
    np.testing.assert_allclose(weigh(Objective(beta=4.0), 0), 11.0 + 4.0 * 3.3)
    np.testing.assert_allclose(weigh(Objective(beta=4.0, beta_warmup=0.5), 25), 11.0 + 2.0 * 3.3, rtol=1e-6)
    np.testing.assert_allclose(weigh(Objective(free_bits=0.4), 0), 11.0 + 3.4, rtol=1e-6)
    np.testing.assert_allclose(weigh(Objective(beta=2.0, capacity=3.0), 0), 11.0 + 2.0 * 0.3, rtol=1e-6)
    # Half of the way up to the capacity.
    rising = Objective(beta=2.0, capacity=3.0, beta_warmup=0.5)
    np.testing.assert_allclose(weigh(rising, 25), 11.0 + 2.0 * (3.3 - 1.5), rtol=1e-6)
    np.testing.assert_allclose(weigh(Objective(most_distortion=8.0), 0), 3.3 + 3.0 * 3.0, rtol=1e-6)


def test_a_drawn_kl_below_zero_is_not_held_at_zero() -> None:
    kl, distortion = jnp.array([[-0.3, 2.0], [-0.1, 4.0]]), jnp.array([10.0, 12.0])
    plain = weigh_by(Objective(estimator="sampled"), 10)({}, kl, distortion, jnp.int32(5))
    np.testing.assert_allclose(plain, 11.0 - 0.2 + 3.0, rtol=1e-6)
    held = weigh_by(Objective(estimator="sampled", free_bits=0.5), 10)({}, kl, distortion, jnp.int32(5))
    np.testing.assert_allclose(held, 11.0 + 0.5 + 3.0, rtol=1e-6)
