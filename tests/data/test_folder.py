import numpy as np
import pytest
from PIL import Image

from vae_jax.data import rows
from vae_jax.data.folder import image_splits, images_of
from vae_jax.data.images import Square
from vae_jax.data.rows import Rows

RANDOM = np.random.default_rng(0)


def image(path, mode: str = "L", size: tuple[int, int] = (8, 8)) -> np.ndarray:
    shape = size[::-1] if mode == "L" else (*size[::-1], len(mode))
    pixels = RANDOM.integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, mode).save(path)
    return pixels


def test_images_have_the_classes_of_their_folders(tmp_path) -> None:
    root = tmp_path / "meine Bilder"
    first = image(root / "cats ü" / "a.png")
    image(root / "cats ü" / "b.png")
    (root / "dogs").mkdir()
    # Grey, though the file stores three colours.
    Image.fromarray(np.repeat(first[..., None], 3, axis=-1)).save(root / "dogs" / "a.webp", lossless=True)
    (root / "dogs" / "notes.txt").write_text("no image")
    (found,) = image_splits(root).values()
    assert found.x.shape == (3, 8, 8, 1)
    np.testing.assert_array_equal(found.x[0, ..., 0], first)
    assert found.label.tolist() == ["cats ü", "cats ü", "dogs"]
    # Kept between commands, until a file changes.
    again = image(root / "cats ü" / "a.png")
    np.testing.assert_array_equal(image_splits(root)["train"].x[0, ..., 0], again)


def test_folders_may_be_splits(tmp_path) -> None:
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        for i in range(count):
            image(tmp_path / part / "one" / f"{i}.png")
    found = image_splits(tmp_path)
    assert {part: len(split.x) for part, split in found.items()} == {"train": 3, "validation": 2, "test": 1}


def test_colours_stay_or_are_forced(tmp_path) -> None:
    image(tmp_path / "a.png")
    assert image_splits(tmp_path)["train"].x.shape == (1, 8, 8, 1)
    coloured = image(tmp_path / "b.png", "RGB")
    found = image_splits(tmp_path)["train"].x
    assert found.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(found[1], coloured)
    assert image_splits(tmp_path, colour="grey")["train"].x.shape == (2, 8, 8, 1)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "c.png")
    assert image_splits(tmp_path)["train"].x[2].min() == 255, "what is transparent is white"


def test_the_white_of_16_bits_is_white_and_that_of_32_is_not_known(tmp_path) -> None:
    deep = np.array([[0, 257, 300], [128 * 257, 65534, 65535]], np.uint16)
    for name in ("a.png", "b.tif"):
        Image.fromarray(deep).save(tmp_path / name)
    Image.fromarray(deep.byteswap().view(">u2")).save(tmp_path / "c.tiff")
    # The folder is of colours where one image is.
    for colour, channels in ((None, 1), ("colour", 3)):
        x = image_splits(tmp_path, colour=colour)["train"].x
        assert x.shape == (3, 2, 3, channels)
        for i in range(3):
            np.testing.assert_array_equal(x[i, ..., -1], [[0, 1, 1], [128, 255, 255]])
    for number in (np.float32(0.5), np.int32(70_000)):
        Image.fromarray(np.full((2, 3), number)).save(tmp_path / "b.tif")
        with pytest.raises(ValueError, match=r"b.tif has pixels of 32 bits, and nothing says which number is white"):
            image_splits(tmp_path)


def test_sizes_must_agree_or_be_named(tmp_path) -> None:
    image(tmp_path / "a.png")
    image(tmp_path / "b.jpg", size=(12, 10))
    with pytest.raises(ValueError, match=r"a.png is an image of 8×8 pixels, .*b.jpg of 10×12. .* --image-size 64"):
        image_splits(tmp_path)
    assert image_splits(tmp_path, square=Square(6))["train"].x.shape == (2, 6, 6, 1)
    with pytest.raises(ValueError, match=r"a.png: an image crop must be 1..8"):
        image_splits(tmp_path, square=Square(6, crop=9))


def test_what_is_no_image_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match="holds no images"):
        image_splits(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a.png cannot be read as an image"):
        image_splits(tmp_path)
    image(tmp_path / "a.png")
    image(tmp_path / "cats" / "a.png")
    with pytest.raises(ValueError, match="1 images beside 1 in folders of classes"):
        image_splits(tmp_path)


def test_images_in_memory_are_read_in_the_same_way() -> None:
    grey = Image.new("L", (3, 2), 7)
    found = images_of(2, lambda i: (f"row {i}", grey))
    np.testing.assert_array_equal(found, np.full((2, 2, 3, 1), 7))


def test_a_folder_that_does_not_fit_the_memory_is_decoded_when_it_is_needed(tmp_path, monkeypatch) -> None:
    for part, count in (("train", 30), ("test", 5)):
        for i in range(count):
            image(tmp_path / part / "ab"[i % 2] / f"{i}.png", size=(6, 8))
    read = image_splits(tmp_path, square=Square(4))
    monkeypatch.setattr(rows, "_MOST_SHARE", 0.0)
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path / "cache"))
    left = image_splits(tmp_path, square=Square(4))
    assert not (tmp_path / "cache").exists(), "what does not fit the memory is not kept either"
    for part in ("train", "test"):
        assert isinstance(left[part].x, Rows)
        np.testing.assert_array_equal(np.asarray(left[part].x), read[part].x)
        np.testing.assert_array_equal(left[part].label, read[part].label)
    (tmp_path / "train" / "b" / "29.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"29.png cannot be read as an image"):
        np.asarray(image_splits(tmp_path, square=Square(4))["train"].x)


def test_a_picture_whose_notes_are_damaged_is_seen(tmp_path) -> None:
    Image.new("L", (8, 8), 7).save(tmp_path / "a.png", exif=b"Exif\x00\x00garbage!")
    assert image_splits(tmp_path)["train"].x.max() == 7


def test_too_large_a_picture_is_said(tmp_path, monkeypatch) -> None:
    image(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(ValueError, match=r"a.png is too large an image: .* Make it smaller first"):
        image_splits(tmp_path)


def test_no_split_and_no_class_is_lost_in_silence(tmp_path) -> None:
    image(tmp_path / "split" / "train" / "animals" / "cat" / "0.png")
    image(tmp_path / "split" / "test" / "cat" / "0.png")
    with pytest.raises(ValueError, match="train holds no images"):
        image_splits(tmp_path / "split")
    for part in ("train", "val", "validation"):
        image(tmp_path / "twice" / part / "0.png")
    with pytest.raises(ValueError, match="holds both val and validation for the validation split: keep one"):
        image_splits(tmp_path / "twice")
    image(tmp_path / "classes" / "a" / "0.png")
    image(tmp_path / "classes" / "b" / "deeper" / "0.png")
    with pytest.warns(UserWarning, match="no images lie in b, so they are no classes"):
        assert image_splits(tmp_path / "classes")["train"].label.tolist() == ["a"]


def test_an_empty_split_is_none(tmp_path) -> None:
    for i in range(3):
        image(tmp_path / "train" / f"{i}.png")
    (tmp_path / "test").mkdir()
    with pytest.warns(UserWarning, match="test holds no images, so there is no test split of your own"):
        assert list(image_splits(tmp_path)) == ["train"]
    # Without a folder of the name train these are classes.
    for name in ("val", "valid"):
        image(tmp_path / "classes" / name / "0.png")
    assert image_splits(tmp_path / "classes")["train"].label.tolist() == ["val", "valid"]
