"""Images cut to a square and scaled, and all of one size."""

from typing import NamedTuple

import numpy as np


class Square(NamedTuple):
    """`crop` pixels from the middle, by default the largest square, scaled to `side` pixels."""

    side: int
    crop: int | None = None


def check_size(shape: tuple[int, ...], first: tuple[int, ...], names: tuple[str, str]) -> None:
    """ValueError where an image has another shape than the first one; `names` of the first and of it."""
    if shape == first:
        return
    sizes = ["×".join(map(str, one[:2])) for one in (first, shape)]
    raise ValueError(
        f"{names[0]} is an image of {sizes[0]} pixels, {names[1]} of {sizes[1]}. Scale all to one size: --image-size "
        "64."
    )


def scaled(images: np.ndarray, square: Square) -> np.ndarray:
    """uint8 `[n, H, W, C]`, C of 1 or 3, to `[n, side, side, C]`. ValueError for other arrays, and a crop too large."""
    from PIL import Image

    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            f"an image size is for images, uint8 of shape (n, H, W, 1 or 3); got {images.dtype} of {images.shape}."
        )
    height, width = images.shape[1:3]
    side, crop = square.side, min(height, width) if square.crop is None else square.crop
    if not 0 < crop <= min(height, width):
        raise ValueError(f"an image crop must be 1..{min(height, width)} in images of {height}×{width}, got {crop}.")
    top, left = (height - crop) / 2, (width - crop) / 2
    out = np.empty((len(images), side, side, images.shape[3]), np.uint8)
    for row, image in zip(out, images, strict=True):
        # Pillow knows no last axis of one.
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        box = (left, top, left + crop, top + crop)
        small = np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR, box=box))
        row[...] = small.reshape(row.shape)
    return out
