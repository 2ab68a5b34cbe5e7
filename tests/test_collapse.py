import jax.numpy as jnp
import pytest

from vae_jax.evaluate.collapse import active_units


def test_active_units_are_those_that_move() -> None:
    means = jnp.array([[0.0, 1.0, 0.05], [0.0, -1.0, -0.05], [0.0, 0.5, 0.0]])
    assert active_units(means).tolist() == [False, True, False]
    assert active_units(means, threshold=1e-4).tolist() == [False, True, True]
    with pytest.raises(ValueError, match=r"shape \(n, d\) with n >= 2, got \(1, 3\)"):
        active_units(means[:1])
