"""Folders of images: `photos/*.png`, or `photos/CLASS/*.png` with the class of each, as torchvision has them."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from vae_jax.data.cache import cache_file, kept_arrays
from vae_jax.data.dataset import Split
from vae_jax.data.examples import Examples
from vae_jax.data.images import Square, check_size, scaled
from vae_jax.data.rows import Rows, taken

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# What the folder of a split may be called.
SPLITS = {"train": "train", "training": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "validation"
)
Colour = Literal["grey", "colour"]


class _Named(NamedTuple):
    path: Path
    label: str | None


def image_splits(folder: Path, *, square: Square | None = None, colour: Colour | None = None) -> dict[str, Split]:
    """The splits of a folder of images: uint8 `[n, H, W, C]`, the names of their folders as labels.

    Where its folders are called train, test and validation they are splits, else classes. `square`: what each is cut
    and scaled to; without it all must be of one size. `colour`: grey or colour; by default colour where one image has
    it. Decoded images are kept between commands; those that do not fit the memory are decoded when they are needed
    (`Rows`). ValueError, with what to do, where there are none or one is damaged.
    """
    parts = _split_folders(folder)
    listed = {part: _listed(inside) for part, inside in parts.items()}
    if not listed["train"]:
        raise ValueError(
            f"{parts['train']} holds no images ({', '.join(ENDINGS)}), neither itself nor in a folder for each class."
        )
    for part in [part for part, split in listed.items() if not split]:
        warnings.warn(f"{parts[part]} holds no images, so there is no {part} split of your own.", stacklevel=2)
        del listed[part]
    files = [named.path for split in listed.values() for named in split]
    stamps = [(file.relative_to(folder), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    made_of = (folder.absolute(), square, colour, "16 bits are divided", *stamps)

    def read() -> dict[str, np.ndarray | Rows]:
        return {"x": images_of(len(files), lambda i: (str(files[i]), files[i]), square, colour)}

    x = kept_arrays(cache_file("folder", made_of), read)["x"]
    splits, first = {}, 0
    for part, named in listed.items():
        labels = np.array([one.label for one in named], str) if named and named[0].label is not None else None
        splits[part] = Split(taken(x, slice(first, first + len(named))), labels)
        first += len(named)
    return splits


def _split_folders(folder: Path) -> dict[str, Path]:
    """The folders of the splits; the folder itself as training split where none is called so."""
    found = [inside for inside in _by_name(folder) if inside.is_dir() and inside.name in SPLITS]
    parts = {SPLITS[inside.name]: inside for inside in found}
    if "train" not in parts:
        return {"train": folder}
    for inside in found:
        last = parts[SPLITS[inside.name]]
        if inside != last:
            both = f"{inside.name} and {last.name}"
            raise ValueError(f"{folder} holds both {both} for the {SPLITS[inside.name]} split: keep one.")
    return parts


def _listed(folder: Path) -> list[_Named]:
    """The images of a folder in the order of their names, those of a class together."""
    own = [_Named(path, None) for path in _images(folder)]
    classes = [inside for inside in _by_name(folder) if inside.is_dir() and not inside.name.startswith(".")]
    of_classes = [_Named(path, inside.name) for inside in classes for path in _images(inside)]
    if own and of_classes:
        raise ValueError(
            f"{folder} holds {len(own)} images beside {len(of_classes)} in folders of classes. Move them into a folder "
            "of their class."
        )
    named = {one.label for one in of_classes}
    if of_classes and (without := [inside.name for inside in classes if inside.name not in named]):
        warnings.warn(
            f"{folder}: no images lie in {', '.join(without[:5])}, so they are no classes. Folders in them are not "
            "searched.",
            stacklevel=2,
        )
    return own or of_classes


def _images(folder: Path) -> list[Path]:
    return [path for path in _by_name(folder) if path.suffix.lower() in ENDINGS and not path.name.startswith(".")]


def _by_name(folder: Path) -> list[Path]:
    """What lies in a folder, in one order on every system: paths of Windows compare without their case."""
    return sorted(folder.iterdir(), key=lambda path: path.name)


def images_of(
    count: int, image: Callable[[int], tuple[str, Any]], square: Square | None = None, colour: Colour | None = None
) -> np.ndarray | Rows:
    """Images as one array, uint8 `[count, H, W, C]`. `image(i)`: the name of one, and its path or Pillow image.

    ValueError names the first that does not fit.
    """
    if colour is None:
        colour = "colour" if any(_is_colour(*image(i)) for i in range(count)) else "grey"
    first_name, first = image(0)
    shape = _pixels(first_name, first, square, colour).shape

    def read(numbers: list[int]) -> list[np.ndarray]:
        found = []
        for name, one in map(image, numbers):
            pixels = _pixels(name, one, square, colour)
            check_size(pixels.shape, shape, (first_name, name))
            found.append(pixels)
        return found

    return Examples(count, read).held()


def _pixels(name: str, image: Any, square: Square | None, colour: Colour) -> np.ndarray:
    """uint8 `[H, W, C]`."""
    pixels = np.asarray(_opened(name, image).convert("L" if colour == "grey" else "RGB"))
    pixels = pixels[..., None] if colour == "grey" else pixels
    try:
        return pixels if square is None else scaled(pixels[None], square)[0]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _is_colour(name: str, image: Any) -> bool:
    """Whether a pixel is of a colour. Its file need not say so: some kinds store grey images as colours too."""
    opened = _opened(name, image)
    if opened.mode in ("1", "L", "LA"):
        return False
    pixels = np.asarray(opened.convert("RGB"))
    return bool((pixels != pixels[..., :1]).any())


def _opened(name: str, image: Any) -> Any:
    """The image of a path, or the image itself, as it should be seen."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(image, Image.Image):
        return _opaque(_in_eight_bits(name, image, image.format))
    try:
        opened = Image.open(image)
        opened.load()
    except Image.DecompressionBombError as error:
        raise ValueError(f"{image} is too large an image: {error} Make it smaller first.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, AttributeError) as error:
        raise ValueError(f"{name} cannot be read as an image: it is missing, damaged or of another kind.") from error
    try:
        # Cameras write the picture as it was taken, and beside it how to turn it.
        turned = ImageOps.exif_transpose(opened)
    except SyntaxError:
        # What stands beside the picture is damaged, and the picture is not.
        turned = opened
    return _opaque(_in_eight_bits(name, turned, opened.format))


def _in_eight_bits(name: str, opened: Any, kind: str | None) -> Any:
    """The image with pixels 0..255: Pillow would make all that is brighter than 255 of 65,535 white."""
    from PIL import Image

    if not opened.mode.startswith(("I", "F")):
        return opened
    # Older versions of Pillow read 16 bits of a PNG file as 32.
    if not (opened.mode.startswith("I;16") or (opened.mode == "I" and kind == "PNG")):
        raise ValueError(
            f"{name} has pixels of 32 bits, and nothing says which number is white. Save it as an image of 8 or 16 "
            "bits, or as an array in an .npy file."
        )
    return Image.fromarray(np.round(np.asarray(opened) / 257.0).astype(np.uint8))


def _opaque(image: Any) -> Any:
    """The image on white, where it is transparent."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        merged = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return merged.convert("L" if image.mode == "LA" else "RGB")
    return image.convert("RGB") if image.mode == "P" else image
