"""`load(name)`: every source of data behind one name."""

import difflib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.config.fields import Binarisation, Kind
from vae_jax.data.dataset import Dataset, Split, binarised, split_rows
from vae_jax.data.files import read_file
from vae_jax.data.images import Square, scaled
from vae_jax.data.labels import Classes, numbered
from vae_jax.data.sprites import SPRITES, factors, pictures
from vae_jax.data.tfds import read_tfds, tfds_names
from vae_jax.data.values import as_stored, largest_count, settled_count

# Examples of the test split that is cut off where the source has none: one in five.
_TEST_FRACTION = 5
_VALIDATION_FRACTION = 10
# Side of a sprite's picture.
_SPRITE = 32
_STAND_IN_NAME = " (stand-in)"
# The most examples that stand for a dataset.
_STAND_IN = 512


class _Source(NamedTuple):
    """The splits of a source, those that it has, with the largest count and the names of the classes."""

    train: Split
    validation: Split | None = None
    test: Split | None = None
    levels: int | None = None
    classes: Classes | None = None


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    binarisation: Binarisation = "none",
    kind: Kind | None = None,
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
    TFDS dataset has, as "Smiling" of celeb_a. `kind` and `levels`: what the likelihood is for, and the largest count in
    your own file; `vae_jax.data.values` says how its numbers are read, also without them.

    Where the source has no test split, a fifth is cut off, two examples at least (one has no spread). Where it has no
    validation split, `validation_size` examples (by default a tenth of what remains) are cut off the training split.
    `seed` fixes both cuts and the static binarisation. ValueError or FileNotFoundError, with what to do, for anything
    that cannot be read.
    """
    train, own_validation, own_test, levels, classes = _read(name, data_dir, seed, square, label, kind, levels)
    test_size = max(2, len(train.x) // _TEST_FRACTION) if own_test is None else 0
    if own_validation is not None and validation_size is not None:
        raise ValueError(f"{name} has a validation split of its own: leave --validation-size out.")
    if validation_size is None:
        validation_size = 0 if own_validation is not None else (len(train.x) - test_size) // _VALIDATION_FRACTION
    train, validation, test = split_rows(train, (validation_size, test_size), seed)
    validation = validation if own_validation is None else own_validation
    test = test if own_test is None else own_test
    raw = Dataset(name, train, validation, test, levels=levels, binarisation="none", seed=seed, classes=classes)
    return binarised(raw, binarisation)


def whole(
    name: str,
    *,
    data_dir: str | Path | None = None,
    kind: Kind | None = None,
    levels: int | None = None,
    square: Square | None = None,
    label: str | None = None,
    seed: int = 0,
) -> Dataset:
    """All examples of a source, in its own order, as the training split; the other two are empty."""
    return _as_one(name, _read(name, data_dir, seed, square, label, kind, levels), seed)


def whole_like(
    name: str,
    like: Dataset,
    *,
    data_dir: str | Path | None = None,
    kind: Kind | None = None,
    square: Square | None = None,
    label: str | None = None,
) -> Dataset:
    """The same, with numbers and classes read as those of `like` are, whatever else the file holds.

    ValueError where the examples are none of this kind.
    """
    if is_own_file(name):
        source = _stored(name, _raw(name, Path(name)), kind, like.source_levels, square, like.classes)
    else:
        source = _read(name, data_dir, like.seed, square, label, kind, None)
        if (source.levels is None) != (like.source_levels is None):
            holds = ["real numbers" if levels is None else "counts" for levels in (like.source_levels, source.levels)]
            raise ValueError(f"the model is of {holds[0]}, but {name} holds {holds[1]}.")
        if like.as_counts and source.levels != like.source_levels:
            raise ValueError(f"the model is of counts 0..{like.source_levels}, and {name} has 0..{source.levels}.")
    return _as_one(name, source, like.seed)


def _as_one(name: str, source: _Source, seed: int) -> Dataset:
    all_of_it = source.train
    for split in (source.validation, source.test):
        all_of_it = all_of_it if split is None else all_of_it.followed_by(split)
    nothing = all_of_it.take(slice(0))
    raw = Dataset(name, all_of_it, nothing, nothing, source.levels, "none", seed, classes=source.classes)
    return binarised(raw, "none")


def own_levels(name: str, kind: Kind | None, asked: int | None) -> int | None:
    """The largest count of the user's own file, for a new run to keep. ValueError where it must be said and is not."""
    return settled_count(name, [split.x for split in _raw(name, Path(name)).values()], kind, asked)


def is_embedded(name: str) -> bool:
    """Whether a dataset is made here, by its name: nobody can change it."""
    return name in ("digits", "curve", *SPRITES) or name.endswith(_STAND_IN_NAME)


def is_own_file(name: str) -> bool:
    """Whether a dataset is a file of arrays of the user's own, by its name."""
    return name.endswith((".npz", ".npy"))


def _read(
    name: str,
    data_dir: str | Path | None,
    seed: int,
    square: Square | None,
    label: str | None,
    kind: Kind | None,
    asked: int | None,
) -> _Source:
    if name in tfds_names():
        train, test = read_tfds(name, data_dir, label=label, square=square)
        # dsprites stores bits.
        source = _Source(train, None, test, 255 if train.x.max(initial=0) > 1 else 1)
    elif label is not None:
        raise ValueError(f"--label {label} chooses among several labels of a TFDS dataset, but {name} has one at most.")
    elif is_own_file(name) or name == "frey_faces":
        raw = _raw(name, _frey_faces(data_dir) if name == "frey_faces" else Path(name))
        return _stored(name, raw, kind, largest_count(name, [split.x for split in raw.values()], kind, asked), square)
    else:
        source = _embedded(name, seed, square)
    if asked is not None:
        largest_count(name, [split.x for split in (source.train, source.test) if split is not None], kind, asked)
    return source._replace(levels=asked or source.levels)


def _raw(name: str, path: Path) -> dict[str, Split]:
    """The splits of a file, none of them empty, all numbers finite."""
    raw = read_file(path)
    for split in raw.values():
        _check_values(name, split.x)
    return raw


def _stored(
    name: str,
    raw: dict[str, Split],
    kind: Kind | None,
    levels: int | None,
    square: Square | None,
    known: Classes | None = None,
) -> _Source:
    """The splits of a file with their numbers and labels as a dataset holds them."""
    labels, classes = numbered(name, [split.label for split in raw.values()], known)
    splits: dict[str, Split] = {}
    for (part, split), label in zip(raw.items(), labels, strict=True):
        x = as_stored(name, split.x, kind, levels)
        splits[part] = Split(_scaled(x, square), label, split.condition, split.factors)
    return _Source(**splits, levels=levels, classes=classes)


def _embedded(name: str, seed: int, square: Square | None) -> _Source:
    if name in SPRITES:
        return _Source(_sprites(name, square), levels=255)
    if name == "digits":
        split, levels = _digits(), 16
    elif name == "curve":
        split, levels = _curve(seed), None
    else:
        raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
    return _Source(split._replace(x=_scaled(split.x, square)), levels=levels)


def _scaled(x: np.ndarray, square: Square | None) -> np.ndarray:
    return x if square is None else scaled(x, square)


def _sprites(name: str, square: Square | None) -> Split:
    """All sprites of a name, labelled with their shape."""
    sizes = SPRITES[name]
    known = factors(sizes)
    shape = known[:, list(sizes).index("shape")]
    return Split(pictures(sizes, _SPRITE if square is None else square.side), shape, factors=known)


def stand_in(
    name: str,
    *,
    binarisation: Binarisation,
    kind: Kind | None = None,
    levels: int | None = None,
    square: Square | None = None,
    seed: int = 0,
) -> Dataset:
    """A small embedded dataset in the place of `name`, for `--quick`: no download, no `data_dir`.

    "curve", the sprites and your own files stand for themselves, by at most 512 rows; other image datasets are stood
    for by the digits, enlarged to 28×28 (28×20 for the faces) unless the name is "digits", or to `square`.
    """
    classes = None
    if name == "curve" or name in SPRITES or is_own_file(name):
        full = whole(name, kind=kind, levels=levels, square=square, seed=seed)
        # All of one shape come first among the sprites.
        order = np.random.default_rng(seed).permutation(len(full.train.x)) if name in SPRITES else slice(None)
        train, levels, classes = full.train.take(order).take(slice(_STAND_IN)), full.levels, full.classes
    else:
        if name not in {"digits", "frey_faces", *tfds_names()}:
            raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
        digits = _digits().take(slice(_STAND_IN))
        levels = 16
        x = digits.x if name == "digits" else np.pad(np.kron(digits.x, np.ones((1, 3, 3, 1), np.uint8)), _FRAME)
        x = x[:, :, 4:-4] if name == "frey_faces" else x
        # The crop is meant for the images that these stand for.
        train = Split(_scaled(x, square and square._replace(crop=None)), digits.label)
    parts = split_rows(train, (len(train.x) // 8, max(1, len(train.x) // 8)), seed)
    raw = Dataset(name + _STAND_IN_NAME, *parts, levels=levels, binarisation="none", seed=seed, classes=classes)
    return binarised(raw, binarisation)


# 8×8 digits enlarged three times are 24×24; two pixels on each side make 28×28.
_FRAME = ((0, 0), (2, 2), (2, 2), (0, 0))


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, ["digits", "curve", *SPRITES, "frey_faces", *tfds_names()], n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    known = ", ".join(("digits", "curve", *SPRITES, "frey_faces"))
    return f".{hint} It must be {known}, a path ending in .npz or .npy, or an image dataset of TFDS."


def _check_values(name: str, x: np.ndarray) -> None:
    if len(x) == 0:
        raise ValueError(f"{name} holds no examples.")
    bad = ~np.isfinite(x).reshape(len(x), -1).all(axis=1) if x.dtype.kind == "f" else np.zeros(1, bool)
    if bad.any():
        raise ValueError(
            f"{name}: {bad.sum()} of {len(x)} examples hold NaN or infinite values, the first in row "
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
