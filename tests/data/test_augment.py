import jax
import numpy as np
import pytest

from tests.runs import changed
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import ConfigError
from vae_jax.data.augment import augmented
from vae_jax.train.source import load_data

KEY = jax.random.key(0)
IMAGES = np.arange(200 * 4 * 5 * 2, dtype=np.uint8).reshape(200, 4, 5, 2)


def versions(image: np.ndarray, *, mirror: bool, shift: int) -> list[bytes]:
    """All that an image may become."""
    border = np.pad(image, ((shift, shift), (shift, shift), (0, 0)), mode="edge")
    height, width, _ = image.shape
    moved = [
        border[row : row + height, column : column + width]
        for row in range(2 * shift + 1)
        for column in range(2 * shift + 1)
    ]
    return [one.tobytes() for one in [*moved, *([one[:, ::-1] for one in moved] if mirror else [])]]


@pytest.mark.parametrize(("mirror", "shift"), [(True, 0), (False, 1), (True, 1), (False, 3)])
def test_every_image_becomes_one_of_its_versions_and_each_as_often(mirror: bool, shift: int) -> None:
    seen = np.asarray(jax.jit(lambda key, x: augmented(key, x, mirror=mirror, shift=shift))(KEY, IMAGES))
    assert seen.dtype == IMAGES.dtype
    chosen = []
    for image, version in zip(IMAGES, seen, strict=True):
        possible = versions(image, mirror=mirror, shift=shift)
        assert version.tobytes() in possible
        chosen.append(possible.index(version.tobytes()))
    count = (2 * shift + 1) ** 2 * (2 if mirror else 1)
    numbers = np.bincount(chosen, minlength=count)
    # Each is binomial with a mean of 200 / count.
    assert (np.abs(numbers - 200 / count) < 5 * np.sqrt(200 / count)).all()
    np.testing.assert_array_equal(seen, augmented(KEY, IMAGES, mirror=mirror, shift=shift))
    assert not np.array_equal(seen, augmented(jax.random.key(1), IMAGES, mirror=mirror, shift=shift))


def test_only_training_sees_changed_images() -> None:
    config = quick(load_config("vae"))
    plain = load_data(config)
    dataset = load_data(changed(config, "data", mirror=True, shift=2, binarisation="none"))
    batch = {"x": dataset.train.x[:20]}
    shown = dataset.prepare(KEY, batch)["x"]
    np.testing.assert_array_equal(shown, dataset.shown(batch["x"]))
    assert not np.array_equal(dataset.prepare_training(KEY, batch)["x"], shown)
    # Without it the bits of a run are those that they were.
    np.testing.assert_array_equal(plain.prepare_training(KEY, batch)["x"], plain.prepare(KEY, batch)["x"])


@pytest.mark.parametrize("name", ["curve", "equations", "table"])
def test_what_is_no_image_cannot_be_mirrored(name: str) -> None:
    config = quick(load_config(name))
    with pytest.raises(ConfigError, match=r"--mirror and --shift are for images, but an example of .* has the shape"):
        load_data(changed(config, "data", mirror=True))
