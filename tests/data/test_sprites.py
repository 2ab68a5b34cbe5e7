import math

import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.data import Reading, Square, load
from vae_jax.data.sprites import SPRITES, draw, factors, pictures

SIDE = 32


def drawn(name: str, **values: int) -> np.ndarray:
    sizes = SPRITES[name]
    middle = {factor: size // 2 for factor, size in sizes.items()} | {"shape": 0, "rotation": 0} | values
    return np.asarray(draw(jnp.asarray([middle[factor] for factor in sizes]), sizes, SIDE))


@pytest.mark.parametrize("name", SPRITES)
def test_every_combination_is_there_once_and_can_be_addressed(name: str) -> None:
    sizes = SPRITES[name]
    values = factors(sizes)
    assert len(values) == math.prod(sizes.values()) == len(np.unique(values, axis=0))
    row = np.ravel_multi_index(values[1234], tuple(sizes.values()))
    assert row == 1234
    assert (values.max(axis=0) + 1).tolist() == list(sizes.values())


def test_pictures_are_in_the_order_of_their_factors() -> None:
    sizes = {"shape": 3, "scale": 2, "rotation": 1, "x": 3, "y": 2}
    all_pictures = pictures(factors(sizes), sizes, SIDE)
    assert all_pictures.shape == (36, SIDE, SIDE, 1)
    for row in (0, 17, 35):
        one = draw(jnp.asarray(factors(sizes)[row]), sizes, SIDE)
        np.testing.assert_allclose(all_pictures[row] / 255, one, atol=0.5 / 255 + 1e-6)


def test_each_factor_does_what_its_name_says() -> None:
    def middle(picture: np.ndarray) -> tuple[float, float]:
        mass = picture[..., 0] / picture[..., 0].sum()
        across = np.arange(SIDE)
        return float((mass.sum(axis=0) * across).sum()), float((mass.sum(axis=1) * across).sum())

    places = [middle(drawn("sprites", x=x, y=3)) for x in range(16)]
    steps = np.diff([x for x, _ in places])
    # Shapes are asked for at every third of a pixel.
    np.testing.assert_allclose(steps, np.mean(steps), atol=1 / 3)
    assert steps.min() > 0.5
    assert np.ptp([y for _, y in places]) < 1e-3
    assert middle(drawn("sprites", y=15))[1] > middle(drawn("sprites", y=0))[1]
    areas = [drawn("sprites", scale=scale).sum() for scale in range(6)]
    # Scale is the width, up to the grid: the area grows with its square, from a half to one.
    np.testing.assert_allclose(np.sqrt(areas) / np.sqrt(areas[-1]), np.linspace(0.5, 1.0, 6), atol=0.04)
    # A quarter turn leaves a square as it is, and turns an ellipse.
    np.testing.assert_allclose(drawn("sprites", rotation=5), drawn("sprites"), atol=0.12)
    turned, ellipse = drawn("sprites", shape=1, rotation=5), drawn("sprites", shape=1)
    assert np.ptp(np.flatnonzero(ellipse.sum(axis=(0, 2)))) > np.ptp(np.flatnonzero(turned.sum(axis=(0, 2))))
    hues = [drawn("colour_sprites", hue=hue).max(axis=(0, 1)) for hue in range(6)]
    assert len(np.unique(np.round(hues, 3), axis=0)) == 6
    assert hues[0].tolist() == [1.0, 0.0, 0.0]


def test_no_sprite_leaves_its_picture() -> None:
    sizes = {"shape": 3, "scale": 2, "rotation": 8, "x": 2, "y": 2}
    all_pictures = pictures(factors(sizes), sizes, SIDE)
    for edge in (all_pictures[:, 0], all_pictures[:, -1], all_pictures[:, :, 0], all_pictures[:, :, -1]):
        assert edge.max() == 0
    assert all_pictures.reshape(len(all_pictures), -1).max(axis=1).min() == 255


def test_sprites_are_a_dataset_of_any_size() -> None:
    data = load("colour_sprites", Reading(square=Square(16)))
    assert data.shape == (16, 16, 3)
    assert data.levels == 255
    assert len(data.train.x) + len(data.validation.x) + len(data.test.x) == 18_432
    assert set(np.unique(data.train.label)) == {0, 1, 2}
