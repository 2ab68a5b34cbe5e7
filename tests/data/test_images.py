import numpy as np
import pytest

from vae_jax.data import Reading, Square, load, whole
from vae_jax.data.images import scaled


@pytest.mark.parametrize("colours", [1, 3])
def test_the_middle_square_is_cut_out(colours: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 8, colours)).astype(np.uint8)
    np.testing.assert_array_equal(scaled(images, Square(4, crop=4)), images[:, 3:7, 2:6])
    np.testing.assert_array_equal(scaled(images, Square(8)), images[:, 1:9])


def test_scaling_down_averages() -> None:
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[:, None, None], (1, 16, 16, 1))
    small = scaled(np.ascontiguousarray(ramp), Square(4))[0, :, 0, 0].astype(float)
    # The mean of four rows of a ramp; at the border the triangle of weights is cut.
    assert small[1:3] == pytest.approx([55, 95], abs=1)
    assert scaled(np.full((1, 9, 9, 3), 7, np.uint8), Square(64)).tolist() == np.full((1, 64, 64, 3), 7).tolist()


def test_every_source_can_be_scaled() -> None:
    data = load("digits", Reading(square=Square(16, crop=6)))
    assert data.shape == (16, 16, 1)
    assert data.train.x.max() <= 16


@pytest.mark.parametrize(
    ("shape", "dtype", "crop", "message"),
    [
        ((2, 8, 8, 1), np.float32, None, r"image size is for images, uint8 .* got float32"),
        ((2, 8), np.uint8, None, r"of shape \(n, H, W, 1 or 3\); got uint8 of \(2, 8\)"),
        ((2, 8, 10, 1), np.uint8, 9, r"crop must be 1\.\.8 in images of 8×10, got 9"),
        ((2, 8, 10, 1), np.uint8, 0, r"crop must be 1\.\.8 in images of 8×10, got 0"),
    ],
)
def test_what_cannot_be_scaled_is_refused(shape, dtype, crop, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scaled(np.zeros(shape, dtype), Square(4, crop))


def test_the_curve_is_no_image() -> None:
    with pytest.raises(ValueError, match="an image size is for images"):
        load("curve", Reading(square=Square(4)))


def test_arrays_that_have_the_size_already_are_cut_all_the_same(tmp_path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    square = Square(8, crop=4)
    found = whole(str(tmp_path / "x.npy"), Reading(square=square)).train.x
    np.testing.assert_array_equal(found, scaled(x, square))
