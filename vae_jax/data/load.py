"""`load(name)`: every source of data behind one name."""

import difflib
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.dataset import Binarisation, Dataset, Split, binarised, split_rows
from vae_jax.data.files import read_file
from vae_jax.data.images import Square, scaled
from vae_jax.data.sprites import SPRITES, factors, pictures
from vae_jax.data.tfds import read_tfds, tfds_names

# Examples of the test split that is cut off where the source has none: one in five.
_TEST_FRACTION = 5
_VALIDATION_FRACTION = 10
# Side of a sprite's picture.
_SPRITE = 32


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    binarisation: Binarisation = "none",
    validation_size: int | None = None,
    levels: int | None = None,
    square: Square | None = None,
    label: str | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a dataset by name or path.

    `name`: "digits" (1,797 real 8×8 digits of scikit-learn, counts 0..16), "curve" (2,000 points around a
    curve in the plane), "sprites" and "colour_sprites" (one shape each, drawn here, 32×32), the path of an `.npz` or
    `.npy` file, or an image dataset of TFDS ("mnist", "fashion_mnist", "celeb_a", …), read from `data_dir` without
    TensorFlow and never downloaded here, or "frey_faces": 1,965 frames 28×20 of a film, from `frey_faces.npz` in
    `data_dir` (not shipped: its licence is not known).

    `square`: what images are cut and scaled to (sprites are drawn at that size). `label`: which of several labels a
    TFDS dataset has, as "Smiling" of celeb_a.

    Where the source has no test split, a fifth is cut off, two examples at least (one has no spread); `validation_size`
    examples (by default a tenth of what remains) are cut off the training split. The counts of your own file are
    0..255, or bits where no value is above 1; `levels` says otherwise. `seed` fixes both cuts and the static
    binarisation. ValueError or FileNotFoundError, with what to do, for anything that cannot be read.
    """
    train, test, known = _read(name, data_dir, seed, square, label)
    levels = _levels(name, known, levels, train, test)
    test_size = max(2, len(train.x) // _TEST_FRACTION) if test is None else 0
    if validation_size is None:
        validation_size = (len(train.x) - test_size) // _VALIDATION_FRACTION
    train, validation, cut = split_rows(train, (validation_size, test_size), seed)
    raw = Dataset(
        name=name,
        train=train,
        validation=validation,
        test=cut if test is None else test,
        levels=levels,
        binarisation="none",
        seed=seed,
    )
    return binarised(raw, binarisation)


def whole(
    name: str,
    *,
    data_dir: str | Path | None = None,
    levels: int | None = None,
    square: Square | None = None,
    label: str | None = None,
    seed: int = 0,
) -> Dataset:
    """All examples of a source, in its own order, as the training split; the other two are empty."""
    train, test, known = _read(name, data_dir, seed, square, label)
    levels = _levels(name, known, levels, train, test)
    if test is not None:
        train = train.followed_by(test)
    nothing = train.take(slice(0))
    return Dataset(name, train, nothing, nothing, levels=levels, binarisation="none", seed=seed)


def _levels(name: str, known: int | None, asked: int | None, train: Split, test: Split | None) -> int | None:
    """The largest count of a source: `asked` where it fits the values, or what is known of the source."""
    if asked is None or asked == known:
        return known
    most = max(int(split.x.max(initial=0)) for split in (train, test) if split is not None)
    if known is None or most > asked:
        values = "real numbers" if known is None else f"counts up to {most}"
        raise ValueError(f"--levels {asked} does not fit {name}, which holds {values}.")
    return asked


def _read(
    name: str, data_dir: str | Path | None, seed: int, square: Square | None = None, label: str | None = None
) -> tuple[Split, Split | None, int | None]:
    """`(train, test or None, levels)` of a source."""
    levels: int | None
    test: Split | None = None
    if name in tfds_names():
        train, test = read_tfds(name, data_dir, label=label, square=square)
        # dsprites stores bits.
        levels = 255 if train.x.max(initial=0) > 1 else 1
    elif label is not None:
        raise ValueError(f"--label {label} chooses among several labels of a TFDS dataset, but {name} has one at most.")
    elif name in SPRITES:
        train, levels = _sprites(name, square), 255
    else:
        train, test, levels = _read_other(name, data_dir, seed)
        train, test = (None if split is None else split._replace(x=_scaled(split.x, square)) for split in (train, test))
        assert train is not None
    for split in (train, test):
        _check_values(name, split)
    return train, test, levels


def _read_other(name: str, data_dir: str | Path | None, seed: int) -> tuple[Split, Split | None, int | None]:
    if name == "digits":
        return _digits(), None, 16
    if name == "curve":
        return _curve(seed), None, None
    if name.endswith((".npz", ".npy")):
        return read_file(Path(name))
    if name == "frey_faces":
        return read_file(_frey_faces(data_dir))
    raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")


def _scaled(x: np.ndarray, square: Square | None) -> np.ndarray:
    return x if square is None else scaled(x, square)


def _sprites(name: str, square: Square | None) -> Split:
    """All sprites of a name, labelled with their shape."""
    sizes = SPRITES[name]
    known = factors(sizes)
    shape = known[:, list(sizes).index("shape")]
    return Split(pictures(sizes, _SPRITE if square is None else square.side), shape, factors=known)


def stand_in(
    name: str, *, binarisation: Binarisation, levels: int | None = None, square: Square | None = None, seed: int = 0
) -> Dataset:
    """A small embedded dataset in the place of `name`, for `--quick`: no download, no `data_dir`.

    "curve" and your own files stand for themselves (at most 512 rows); image datasets are stood for by the
    digits, enlarged to 28×28 (28×20 for the faces) unless the name is "digits", or to `square`.
    """
    images = {"digits", "frey_faces", *SPRITES, *tfds_names()}
    if name == "curve" or name.endswith((".npz", ".npy")):
        full = whole(name, levels=levels, square=square, seed=seed)
        train, levels = full.train.take(slice(512)), full.levels
    else:
        if name not in images:
            raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
        digits = _digits().take(slice(512))
        levels = 16
        x = digits.x if name == "digits" else np.pad(np.kron(digits.x, np.ones((1, 3, 3, 1), np.uint8)), _FRAME)
        x = x[:, :, 4:-4] if name == "frey_faces" else x
        # The crop is meant for the images that these stand for.
        train = Split(_scaled(x, square and square._replace(crop=None)), digits.label)
    parts = split_rows(train, (len(train.x) // 8, max(1, len(train.x) // 8)), seed)
    raw = Dataset(f"{name} (stand-in)", *parts, levels=levels, binarisation="none", seed=seed)
    return binarised(raw, binarisation)


# 8×8 digits enlarged three times are 24×24; two pixels on each side make 28×28.
_FRAME = ((0, 0), (2, 2), (2, 2), (0, 0))


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, ["digits", "curve", *SPRITES, "frey_faces", *tfds_names()], n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    known = ", ".join(("digits", "curve", *SPRITES, "frey_faces"))
    return f".{hint} It must be {known}, a path ending in .npz or .npy, or an image dataset of TFDS."


def _check_values(name: str, split: Split | None) -> None:
    if split is None:
        return
    if len(split.x) == 0:
        raise ValueError(f"{name} holds no examples.")
    bad = (
        ~np.isfinite(split.x).reshape(len(split.x), -1).all(axis=1) if split.x.dtype.kind == "f" else np.zeros(1, bool)
    )
    if bad.any():
        raise ValueError(
            f"{name}: {bad.sum()} of {len(split.x)} examples hold NaN or infinite values, the first in row "
            f"{int(bad.argmax())}. Remove or replace them first."
        )


def _frey_faces(data_dir: str | Path | None) -> Path:
    path = Path(data_dir or ".").expanduser() / "frey_faces.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}. frey_faces needs an .npz with `images`, uint8 [1965, 28, 20], which cannot be shipped: "
            "name its folder with --data-dir."
        )
    return path


def _digits() -> Split:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return Split(digits.images.astype(np.uint8)[..., None], digits.target.astype(np.int32))


def _curve(seed: int, size: int = 2000) -> Split:
    """Points `[n, 2]` around one period of a sine wave, Gaussian noise 0.05; label: which third of the curve."""
    random = np.random.default_rng(seed)
    position = random.random(size)
    t = 2.0 * position - 1.0
    points = np.stack([t, 0.6 * np.sin(np.pi * t)], axis=-1)
    noisy = points + 0.05 * random.standard_normal(points.shape)
    return Split(noisy.astype(np.float32), np.minimum(3 * position, 2).astype(np.int32))
