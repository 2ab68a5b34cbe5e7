"""`load(name)`: every source of data behind one name."""

import difflib
from pathlib import Path
from typing import Any

import numpy as np

from vae_jax.data.dataset import Binarisation, Dataset, Split, binarised, split_rows
from vae_jax.data.files import read_file
from vae_jax.data.tfds import read_tfds, tfds_names

# Examples of the test split that is cut off where the source has none: one in five.
_TEST_FRACTION = 5
_VALIDATION_FRACTION = 10


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    binarisation: Binarisation = "none",
    validation_size: int | None = None,
    levels: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Load a dataset by name or path.

    `name`: "digits" (1,797 real 8×8 digits of scikit-learn, counts 0..16), "curve" (2,000 points around a
    curve in the plane), the path of an `.npz` or `.npy` file, or an image dataset of TFDS ("mnist",
    "fashion_mnist", …), read from `data_dir` without TensorFlow and never downloaded here, or "frey_faces": 1,965
    frames 28×20 of a film, from `frey_faces.npz` in `data_dir` (not shipped: its licence is not known).

    Where the source has no test split, a fifth is cut off; `validation_size` examples (by default a tenth of
    what remains) are cut off the training split. The counts of your own file are 0..255, or bits where no
    value is above 1; `levels` says otherwise. `seed` fixes both cuts and the static binarisation. ValueError or
    FileNotFoundError, with what to do, for anything that cannot be read.
    """
    train, test, found = _read(name, data_dir, seed)
    levels = _levels(name, found, levels, train, test)
    test_size = max(1, len(train.x) // _TEST_FRACTION) if test is None else 0
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


def whole(name: str, *, data_dir: str | Path | None = None, levels: int | None = None, seed: int = 0) -> Dataset:
    """All examples of a source, in its own order, as the training split; the other two are empty."""
    train, test, found = _read(name, data_dir, seed)
    levels = _levels(name, found, levels, train, test)
    if test is not None:
        label = None
        if train.label is not None and test.label is not None:
            label = np.concatenate([train.label, test.label])
        train = Split(np.concatenate([train.x, test.x]), label)
    nothing = train.take(slice(0))
    return Dataset(name, train, nothing, nothing, levels=levels, binarisation="none", seed=seed)


def _levels(name: str, found: int | None, asked: int | None, train: Split, test: Split | None) -> int | None:
    """The largest count of a source: what was asked for, where that can be, or what is known of it."""
    if asked is None or asked == found:
        return found
    most = max(int(split.x.max(initial=0)) for split in (train, test) if split is not None)
    if found is None or most > asked:
        values = "real numbers" if found is None else f"counts up to {most}"
        raise ValueError(f"--levels {asked} does not fit {name}, which holds {values}.")
    return asked


def _read(name: str, data_dir: str | Path | None, seed: int) -> tuple[Split, Split | None, int | None]:
    """`(train, test or None, levels)` of a source."""
    levels: int | None
    test: Split | None = None
    if name == "digits":
        train, levels = _digits(), 16
    elif name == "curve":
        train, levels = _curve(seed), None
    elif name.endswith((".npz", ".npy")):
        train, test, levels = read_file(Path(name))
    elif name == "frey_faces":
        train, test, levels = read_file(_frey_faces(data_dir))
    elif name in tfds_names():
        train, test = read_tfds(name, data_dir)
        levels = 255
    else:
        raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
    for split in (train, test):
        _check_values(name, split)
    return train, test, levels


def stand_in(name: str, *, binarisation: Binarisation, levels: int | None = None, seed: int = 0) -> Dataset:
    """A small embedded dataset in the place of `name`, for `--quick`: no download, no `data_dir`.

    "curve" and your own files stand for themselves (at most 512 rows); image datasets are stood for by the
    digits, enlarged to 28×28 (28×20 for the faces) unless the name is "digits".
    """
    images = {"digits", "frey_faces", *tfds_names()}
    if name == "curve" or name.endswith((".npz", ".npy")):
        full = whole(name, levels=levels, seed=seed)
        train, levels = full.train.take(slice(512)), full.levels
    else:
        if name not in images:
            raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
        digits = _digits().take(slice(512))
        levels = 16
        x = digits.x if name == "digits" else np.pad(np.kron(digits.x, np.ones((1, 3, 3, 1), np.uint8)), _FRAME)
        x = x[:, :, 4:-4] if name == "frey_faces" else x
        train = Split(x, digits.label)
    parts = split_rows(train, (len(train.x) // 8, max(1, len(train.x) // 8)), seed)
    raw = Dataset(f"{name} (stand-in)", *parts, levels=levels, binarisation="none", seed=seed)
    return binarised(raw, binarisation)


# 8×8 digits enlarged three times are 24×24; two pixels on each side make 28×28.
_FRAME = ((0, 0), (2, 2), (2, 2), (0, 0))


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name, ["digits", "curve", "frey_faces", *tfds_names()], n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f".{hint} It must be digits, curve, frey_faces, a path ending in .npz or .npy, or an image dataset of TFDS."


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
