"""The rules by which codes are learned: each step against its closed form."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax.config import Model, Quantisation
from vae_jax.core.errors import ConfigError
from vae_jax.objectives.quantise import finite_codes
from vae_jax.optimizers.groups import apart
from vae_jax.systems.parts.quantisers import (
    SET,
    codebook_size,
    finite_scalar_codes,
    gradient_codes,
    quantiser_of,
    running_codes,
    set_exactly,
)

KEY = jax.random.key(0)
Z = jax.random.normal(jax.random.key(1), (40, 3))
RULES = {
    "running": lambda **options: running_codes(6, 3, **options),
    "gradient": lambda **options: gradient_codes(6, 3, **options),
    "finite_scalar": lambda **options: finite_scalar_codes((2, 3, 2)),
}


def stepped(rule: Any, params: Any, key: Any = KEY, z: Any = Z, rate: float = 0.1) -> Any:
    """The parameters after one step on what moves the codes alone."""
    tx = apart({SET: set_exactly}, optax.sgd(rate))
    slope = jax.grad(lambda p: rule.learn(p, key, z, rule.quantise(p, z)))(params)
    updates, _ = tx.update(slope, tx.init(params), params)
    return optax.apply_updates(params, updates)


@pytest.mark.parametrize("name", RULES)
def test_what_is_looked_up_is_what_was_quantised(name: str) -> None:
    rule = RULES[name](decay=0.9, least_use=0.0)
    params = rule.init(KEY)
    found = rule.quantise(params, Z)
    np.testing.assert_allclose(rule.lookup(params, found.number), found.value, atol=1e-6)
    assert found.number.max() < rule.size
    # Gradients of the decoder pass to the vectors, and none to the codes.
    loss = lambda p, z: jnp.sum(jnp.sin(rule.quantise(p, z).value))
    of_params, of_z = jax.grad(loss, argnums=(0, 1))(params, Z)
    assert all(not leaf.any() for leaf in jax.tree.leaves(of_params))
    assert jnp.abs(of_z).max() > 0.1
    if name != "finite_scalar":
        np.testing.assert_allclose(of_z, jnp.cos(found.value), rtol=1e-5)


@pytest.mark.parametrize("name", RULES)
def test_what_moves_the_codes_has_no_value_and_does_not_move_the_vectors(name: str) -> None:
    rule = RULES[name](decay=0.9, least_use=0.5)
    params = rule.init(KEY)
    assert float(rule.learn(params, KEY, Z, rule.quantise(params, Z))) == 0.0
    assert not jax.grad(lambda z: rule.learn(params, KEY, z, rule.quantise(params, z)))(Z).any()


def test_running_codes_are_the_running_means() -> None:
    rule = running_codes(6, 3, decay=0.9, least_use=0.0)
    params = rule.init(KEY)
    counts, sums = np.zeros(6), np.zeros((6, 3))
    for step in range(4):
        z = np.asarray(jax.random.normal(jax.random.key(step + 5), (40, 3)))
        index = np.asarray(rule.quantise(params, jnp.asarray(z)).number)
        counts = 0.9 * counts + 0.1 * np.bincount(index, minlength=6)
        for code in range(6):
            sums[code] = 0.9 * sums[code] + 0.1 * z[index == code].sum(axis=0)
        params = stepped(rule, params, z=jnp.asarray(z))
        used = counts > 1e-3
        found = rule.lookup(params, jnp.arange(6))
        np.testing.assert_allclose(found[used], (sums[used].T / counts[used]).T, rtol=1e-4)
    assert used.sum() >= 3
    # A code that is not used for long stays where it was.
    for _ in range(20):
        params = stepped(rule, params, z=jnp.full((40, 3), 5.0))
    assert np.isfinite(rule.lookup(params, jnp.arange(6))).all()


@pytest.mark.parametrize("name", ["running", "gradient"])
def test_the_first_step_starts_the_codes_where_the_data_are(name: str) -> None:
    rule = RULES[name](decay=0.99, least_use=0.5)
    far = Z + 100.0
    params = stepped(rule, rule.init(KEY), z=far)
    codes = rule.lookup(params, jnp.arange(6))
    distances = jnp.square(codes[:, None] - far[None]).sum(-1).min(axis=1)
    # One code, the nearest to all, may have stood for everything: it is their mean.
    assert (distances < 1e-3).sum() >= 5
    assert len(np.unique(rule.quantise(params, far).number)) > 2


@pytest.mark.parametrize("name", ["running", "gradient"])
def test_a_code_out_of_use_begins_anew_and_the_others_stay(name: str) -> None:
    rule = RULES[name](decay=0.9, least_use=0.0)
    params = rule.init(KEY)
    for step in range(3):
        params = stepped(rule, params, jax.random.key(step))
    # What remembers nothing: all vectors at two of the codes, so that the other four are out of use.
    forgetful = RULES[name](decay=0.0, least_use=0.2)
    kept = rule.lookup(params, jnp.array([1, 4]))
    z = jnp.repeat(kept, 20, axis=0)
    after = rule.lookup(stepped(forgetful, params, z=z), jnp.arange(6))
    np.testing.assert_allclose(after[jnp.array([1, 4])], kept, atol=1e-5)
    assert jnp.square(after[:, None] - kept[None]).sum(-1).min(axis=1).max() < 1e-6


def test_codes_by_gradient_descend_their_mean_distance() -> None:
    rule = gradient_codes(6, 3, decay=0.9, least_use=0.0)
    params = rule.init(KEY)
    index = np.asarray(rule.quantise(params, Z).number)
    before = np.asarray(rule.lookup(params, jnp.arange(6)))
    slope = np.zeros((6, 3))
    np.add.at(slope, index, 2.0 * (before[index] - np.asarray(Z)) / 40)
    after = rule.lookup(stepped(rule, params, rate=0.5), jnp.arange(6))
    np.testing.assert_allclose(after, before - 0.5 * slope, rtol=1e-4, atol=1e-6)


def test_finite_scalars_have_nothing_to_learn() -> None:
    rule = finite_scalar_codes((2, 3, 2))
    assert (rule.size, rule.init(KEY)) == (12, {})
    np.testing.assert_allclose(rule.lookup({}, jnp.arange(12)), finite_codes((2, 3, 2)))
    assert float(rule.commitment(Z, Z + 1.0)) == 0.0


def test_configs_name_them() -> None:
    scalars = Quantisation(codebook="finite_scalar", scalar_levels=(8, 6, 5))
    assert codebook_size(scalars) == quantiser_of(scalars, Model(latent_size=3)).size == 240
    assert codebook_size(Quantisation()) == quantiser_of(Quantisation(), Model()).size == 512
    with pytest.raises(ConfigError, match=r"--latent-size 4 needs as many, got 3 \(8 6 5\)"):
        quantiser_of(scalars, Model(latent_size=4))
