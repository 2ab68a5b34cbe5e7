import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.config import Codes
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.objectives import corruptions
from vae_jax.systems.registry import validate

KEY = jax.random.key(0)


def test_corruptions_have_their_share() -> None:
    x = jnp.full((2000,), 0.5)
    np.testing.assert_allclose(jnp.std(corruptions.gaussian(0.3)(KEY, x)), 0.3, rtol=0.1)
    masked = corruptions.masking(0.3)(KEY, x)
    np.testing.assert_allclose(jnp.mean(masked == 0.0), 0.3, atol=0.04)
    assert set(np.unique(masked)) == {0.0, 0.5}
    spoilt = corruptions.salt_pepper(0.4)(KEY, x)
    np.testing.assert_allclose([jnp.mean(spoilt == v) for v in (0.0, 0.5, 1.0)], [0.2, 0.6, 0.2], atol=0.04)
    assert (corruptions.uncorrupted(KEY, x) == x).all()


def test_dropout_keeps_the_mean() -> None:
    x = jnp.full((20_000,), 0.5)
    dropped = corruptions.dropout(0.8)(KEY, x)
    np.testing.assert_allclose(dropped.mean(), 0.5, atol=4 * 0.5 * 2 / np.sqrt(20_000))
    np.testing.assert_allclose(np.unique(dropped), [0.0, 2.5], rtol=1e-6)


def test_shifts_move_the_image_each_way_as_often() -> None:
    image = jnp.zeros((5, 5, 1)).at[2, 2].set(1.0)
    moved = jax.vmap(corruptions.shifted(1), in_axes=(0, None))(jax.random.split(KEY, 900), image)
    assert (moved.sum(axis=(1, 2, 3)) == 1.0).all()
    where = np.asarray(moved.sum(axis=(0, 3)))[1:4, 1:4]
    assert where.sum() == 900
    np.testing.assert_allclose(where, 100, atol=4 * 10)
    # By nothing, whatever x is.
    row = image[2, :, 0]
    assert corruptions.shifted(0)(KEY, row) is row
    # What moves in is empty: by i pixels down and j across, (4 − i) (4 − j) of the 16 are left.
    full = jax.vmap(corruptions.shifted(2), in_axes=(0, None))(jax.random.split(KEY, 400), jnp.ones((4, 4, 1)))
    assert set(np.unique(full)) == {0.0, 1.0}
    assert set(np.unique(full.sum(axis=(1, 2, 3)))) == {4.0, 6.0, 8.0, 9.0, 12.0, 16.0}


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (Codes(corruption="dropout", corruption_level=1.0), "share of the elements for dropout, below 1; got 1.0"),
        (Codes(corruption="masking", corruption_level=1.1), "share of the elements for masking, at most 1; got 1.1"),
        (Codes(corruption_shift=-1), "--corruption-shift must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_done_is_refused(codes: Codes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(dataclasses.replace(load_config("denoising_autoencoder"), codes=codes))
