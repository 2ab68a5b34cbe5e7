"""`load(name)`: every source of data behind one name."""

import difflib
import importlib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_jax.config.fields import Binarisation
from vae_jax.data.columns import Column
from vae_jax.data.dataset import Dataset, Split, binarised, own_test_order, split_rows
from vae_jax.data.examples import Examples
from vae_jax.data.images import Square, scaled
from vae_jax.data.labels import Classes, numbered
from vae_jax.data.own import Own, Reading, as_rows, is_decoded, is_own, proposed, read_like, read_own
from vae_jax.data.rows import Rows, blocks
from vae_jax.data.sprites import SPRITES, factors, pictures
from vae_jax.data.tfds import read_tfds, tfds_names
from vae_jax.data.units import units_of
from vae_jax.data.values import as_stored, largest_count, settled_count

# Examples of the test split that is cut off where the source has none: one in five.
_TEST_FRACTION = 5
_VALIDATION_FRACTION = 10
# Side of a sprite's picture.
_SPRITE = 32
_STAND_IN_NAME = " (stand-in)"
# The most examples that stand for a dataset.
_STAND_IN = 512
_AS_IT_IS = Reading()


class _Source(NamedTuple):
    """The splits of a source, those that it has, with the largest count and the names of the classes."""

    train: Split
    validation: Split | None = None
    test: Split | None = None
    levels: int | None = None
    classes: Classes | None = None
    columns: tuple[Column, ...] | None = None
    names: tuple[str, ...] | None = None


def load(
    name: str,
    reading: Reading = _AS_IT_IS,
    *,
    data_dir: str | Path | None = None,
    binarisation: Binarisation = "none",
    validation_size: int | None = None,
    standardise: bool = False,
    seed: int = 0,
    shuffle_test: bool = True,
) -> Dataset:
    """Load a dataset by name or path.

    `name`: "digits" (1,797 real 8×8 digits of scikit-learn, counts 0..16), "curve" (2,000 points around a
    curve in the plane), "sprites" and "colour_sprites" (one shape each, drawn here, 32×32), "cancer" (scikit-learn's
    table of 569 biopsies, 30 measures of each), your own data by their path (`vae_jax.data.own`: arrays, a table, a
    folder of images, "hf:NAME"), an image dataset of TFDS ("mnist", "fashion_mnist", "celeb_a", …), read from
    `data_dir` without TensorFlow and never downloaded here, or "frey_faces": 1,965 frames 28×20 of a film, from
    `frey_faces.npz` in `data_dir` (not shipped: its licence is not known).

    `reading`: `square` is what images are cut and scaled to (sprites are drawn at that size); `label` which of several
    labels a TFDS dataset or a table has, as "Smiling" of celeb_a; `kind` and `levels` what the likelihood is for, and
    the largest count in your own file: `vae_jax.data.values` says how its numbers are read, also without them.
    `standardise`: networks see real numbers `[n, d]` with a mean of 0 and a standard deviation of 1.

    Where the source has no test split, a fifth is cut off, two examples at least (one has no spread). Where it has no
    validation split, `validation_size` examples (by default a tenth of what remains) are cut off the training split.
    A test split of your own is shuffled, as it may be sorted and be measured in part; not without `shuffle_test`.
    `seed` fixes both cuts, that order and the static binarisation. ValueError or FileNotFoundError, with what to do,
    for anything that cannot be read.
    """
    train, own_validation, own_test, levels, classes, columns, names = _read(name, data_dir, seed, reading)
    test_size = max(2, len(train.x) // _TEST_FRACTION) if own_test is None else 0
    if own_validation is not None and validation_size is not None:
        raise ValueError(f"{name} has a validation split of its own: leave --validation-size out.")
    if validation_size is None:
        validation_size = 0 if own_validation is not None else (len(train.x) - test_size) // _VALIDATION_FRACTION
    train, validation, test = split_rows(train, (validation_size, test_size), seed)
    validation = validation if own_validation is None else own_validation.in_memory()
    test = test if own_test is None else own_test.in_memory()
    if own_test is not None and is_own(name) and shuffle_test:
        test = test.take(own_test_order(len(test.x), seed))
    units = units_of(train.x) if columns is not None or (standardise and levels is None) else None
    known: dict[str, Any] = {"classes": classes, "columns": columns, "names": names, "units": units}
    raw = Dataset(name, train, validation, test, levels=levels, binarisation="none", seed=seed, **known)
    return binarised(raw, binarisation)


def whole(name: str, reading: Reading = _AS_IT_IS, *, data_dir: str | Path | None = None, seed: int = 0) -> Dataset:
    """All examples of a source, in its own order, as the training split; the other two are empty."""
    return _as_one(name, _read(name, data_dir, seed, reading), seed)


def whole_like(
    name: str, like: Dataset, reading: Reading = _AS_IT_IS, *, data_dir: str | Path | None = None
) -> Dataset:
    """The same, with numbers and classes read as those of `like` are, whatever else the file holds.

    ValueError where the examples are none of this kind.
    """
    reading = reading._replace(levels=None)
    if is_own(name):
        own = _checked(name, read_like(name, reading, like.columns, like.names, like.classes))
        source = _stored(name, own, reading._replace(levels=like.source_levels), like.classes)
    else:
        source = _read(name, data_dir, like.seed, reading)
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
    known: dict[str, Any] = {"classes": source.classes, "columns": source.columns, "names": source.names}
    raw = Dataset(name, all_of_it, nothing, nothing, source.levels, "none", seed, **known)
    return binarised(raw, "none")


def settled(name: str, reading: Reading, *, standardise: bool | None) -> tuple[Reading, bool]:
    """How a new run reads the user's own data, with what it must keep written out; and whether they are standardised.

    By default tables of real numbers are. ValueError where the data do not tell something and the user does not say.
    """
    own = _own(name, reading)
    arrays = [split.x for split in own.splits.values()]
    if own.columns is not None:
        if standardise is False:
            raise ValueError(
                f"--standardise False: columns with families of their own are always standardised, and {name} has "
                "such. Leave it out, or use --likelihood normal for a table of real numbers."
            )
        families = {column: found.family for column, found in proposed(name, reading).items()}
        return reading._replace(columns=tuple(f"{column}={family}" for column, family in families.items())), True
    levels = settled_count(name, arrays, reading.kind, reading.levels)
    is_table = levels is None and reading.kind == "reals" and arrays[0].ndim == 2
    return reading._replace(levels=levels), is_table if standardise is None else standardise


def is_embedded(name: str) -> bool:
    """Whether a dataset is made here, by its name: nobody can change it."""
    return name in ("digits", "curve", "cancer", *SPRITES) or name.endswith(_STAND_IN_NAME)


def _read(name: str, data_dir: str | Path | None, seed: int, reading: Reading, *, few: int | None = None) -> _Source:
    """The splits of a source. `few`: no more of those that are drawn here one by one, which takes seconds for all."""
    kind, asked = reading.kind, reading.levels
    if is_own(name) or name == "frey_faces":
        own = _own(str(_frey_faces(data_dir)) if name == "frey_faces" else name, reading)
        levels = None if own.columns else largest_count(name, [split.x for split in own.splits.values()], kind, asked)
        return _stored(name, own, reading._replace(levels=levels))
    # TFDS is loaded for its names, and that takes long.
    if not is_embedded(name) and name in tfds_names():
        train, test = read_tfds(name, data_dir, label=reading.label, square=reading.square)
        # dsprites stores bits.
        source = _Source(train, None, test, 255 if train.x.max() > 1 else 1)
    elif reading.label is not None:
        raise ValueError(
            f"--label {reading.label} chooses among several labels of a table or a TFDS dataset, but {name} has one at "
            "most."
        )
    else:
        source = _embedded(name, seed, reading.square, few)
        if kind == "columns":
            own = as_rows(name, {"train": source.train}, reading)
            return _stored(name, own, reading)
    if asked is not None:
        largest_count(name, [split.x for split in (source.train, source.test) if split is not None], kind, asked)
    return source._replace(levels=asked or source.levels)


def _own(name: str, reading: Reading) -> Own:
    """The splits of the user's own data, none of them empty, all numbers finite but for the gaps of a table."""
    return _checked(name, read_own(name, reading))


def _checked(name: str, own: Own) -> Own:
    for split in own.splits.values():
        _check_values(name, split.x, gaps=own.columns is not None)
    return own


def _stored(name: str, own: Own, reading: Reading, known: Classes | None = None) -> _Source:
    """The splits with their numbers and labels as a dataset holds them."""
    labels, classes = numbered(name, [split.label for split in own.splits.values()], known)
    splits: dict[str, Split] = {}
    for (part, split), label in zip(own.splits.items(), labels, strict=True):
        x = split.x if own.columns is not None else as_stored(name, split.x, reading.kind, reading.levels)
        splits[part] = Split(
            x if is_decoded(name) else _scaled(x, reading.square), label, split.condition, split.factors
        )
    return _Source(**splits, levels=reading.levels, classes=classes, columns=own.columns, names=own.names)


def _embedded(name: str, seed: int, square: Square | None, few: int | None) -> _Source:
    if name in SPRITES:
        return _Source(_sprites(name, square, seed, few), levels=255)
    if name == "digits":
        split, levels = _digits(), 16
    elif name == "curve":
        split, levels = _curve(seed), None
    elif name == "cancer":
        split, levels = _cancer(), None
    else:
        raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
    return _Source(split._replace(x=_scaled(split.x, square)), levels=levels)


def _scaled(x: Any, square: Square | None) -> Any:
    if square is None:
        return x
    if isinstance(x, Rows):
        # Once they are small they may fit.
        return Examples(len(x), lambda numbers: scaled(x[np.array(numbers)], square)).held()
    return scaled(x, square)


def _sprites(name: str, square: Square | None, seed: int, few: int | None) -> Split:
    """All sprites of a name, labelled with their shape; or `few` of all kinds, chosen by the seed."""
    sizes = SPRITES[name]
    known = factors(sizes)
    if few is not None:
        known = known[np.random.default_rng(seed).permutation(len(known))[:few]]
    shape = known[:, list(sizes).index("shape")]
    return Split(pictures(known, sizes, _SPRITE if square is None else square.side), shape, factors=known)


def stand_in(
    name: str,
    reading: Reading = _AS_IT_IS,
    *,
    binarisation: Binarisation = "none",
    standardise: bool = False,
    seed: int = 0,
) -> Dataset:
    """A small embedded dataset in the place of `name`, for `--quick`: no download, no `data_dir`.

    "curve", "cancer", the sprites and your own data stand for themselves, by at most 512 rows; other image datasets are
    stood for by the digits, enlarged to 28×28 (28×20 for the faces) unless the name is "digits", or to the square.
    ValueError for a name that is not known.
    """
    square, known = reading.square, {}
    if name in ("curve", "cancer", *SPRITES) or is_own(name):
        full = _as_one(name, _read(name, None, seed, reading, few=_STAND_IN), seed)
        train, levels = full.train.take(slice(_STAND_IN)), full.levels
        known: dict[str, Any] = {"classes": full.classes, "columns": full.columns, "names": full.names}
    else:
        if name not in ("digits", "frey_faces") and name not in tfds_names():
            raise ValueError(f"unknown dataset {name!r}{_suggestion(name)}")
        digits = _digits().take(slice(_STAND_IN))
        levels = 16
        x = digits.x if name == "digits" else np.pad(np.kron(digits.x, np.ones((1, 3, 3, 1), np.uint8)), _FRAME)
        x = x[:, :, 4:-4] if name == "frey_faces" else x
        # The crop is meant for the images that these stand for.
        train = Split(_scaled(x, square and square._replace(crop=None)), digits.label)
    parts = split_rows(train, (len(train.x) // 8, max(2, len(train.x) // 8)), seed)
    if known.get("columns") is not None or (standardise and levels is None):
        known["units"] = units_of(parts[0].x)
    raw = Dataset(name + _STAND_IN_NAME, *parts, levels=levels, binarisation="none", seed=seed, **known)
    return binarised(raw, binarisation)


# 8×8 digits enlarged three times are 24×24; two pixels on each side make 28×28.
_FRAME = ((0, 0), (2, 2), (2, 2), (0, 0))


def _suggestion(name: str) -> str:
    embedded = ("digits", "curve", "cancer", *SPRITES, "frey_faces", "equations", "zinc")
    if Path(name).exists():
        return f", but there is a folder or file of that name: write ./{name}"
    close = difflib.get_close_matches(name, [*embedded, *tfds_names()], n=3, cutoff=0.75)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return (
        f".{hint} It must be one of {', '.join(embedded)}, an image dataset of TFDS, or your own: the path of a folder "
        "of images, of arrays (.npz, .npy), a table (.csv, .parquet) or strings (.txt, .smi), or hf:NAME."
    )


def _check_values(name: str, x: np.ndarray, *, gaps: bool) -> None:
    if len(x) == 0:
        raise ValueError(f"{name} holds no examples.")
    if x.dtype.kind != "f":
        return
    bad = np.concatenate([_has_bad_values(some, gaps) for some in blocks(x)])
    if bad.any():
        values = "infinite values" if gaps else "NaN or infinite values"
        table = " A table may have gaps: --likelihood columns --binarisation none." if x.ndim == 2 and not gaps else ""
        raise ValueError(
            f"{name}: {bad.sum()} of {len(x)} examples hold {values}, the first in row {int(bad.argmax())}. Remove or "
            f"replace them first. Numbers beyond 3.4e38 are infinite in float32.{table}"
        )


def _has_bad_values(x: np.ndarray, gaps: bool) -> np.ndarray:
    """Of each row, whether it holds a number that is not finite, and no gap where there may be any."""
    # What float32 cannot hold is infinite there.
    known = (np.abs(x) <= np.finfo(np.float32).max) | (np.isnan(x) if gaps else False)
    return ~np.asarray(known.reshape(len(x), -1).all(axis=1))


def _frey_faces(data_dir: str | Path | None) -> Path:
    path = Path(data_dir or ".").expanduser() / "frey_faces.npz"
    if not path.is_file():
        raise FileNotFoundError(
            f"no file {path}. frey_faces needs an .npz with `images`, uint8 [1965, 28, 20], which cannot be shipped: "
            "name its folder with --data-dir."
        )
    return path


def _digits() -> Split:
    pixels, labels = _of_scikit_learn("load_digits", "digits.csv.gz")
    return Split(pixels.reshape(-1, 8, 8, 1).astype(np.uint8), labels)


def _cancer() -> Split:
    """Measures of cell nuclei `[569, 30]`; label: 0 malignant, 1 benign."""
    measures, labels = _of_scikit_learn("load_breast_cancer", "breast_cancer.csv", skip=1)
    return Split(measures.astype(np.float32), labels)


def _of_scikit_learn(loader: str, name: str, *, skip: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their labels, from its file `name`, where it has one: the library itself takes long to load."""
    path = Path(str(distribution("scikit-learn").locate_file(f"sklearn/datasets/data/{name}")))
    if path.is_file():
        rows = np.loadtxt(path, delimiter=",", skiprows=skip)
        return rows[:, :-1], rows[:, -1].astype(np.int32)
    found = getattr(importlib.import_module("sklearn.datasets"), loader)()
    return found.data, found.target.astype(np.int32)


def _curve(seed: int, size: int = 2000) -> Split:
    """Points `[n, 2]` around one period of a sine wave, Gaussian noise 0.05; label: which third of the curve."""
    random = np.random.default_rng(seed)
    position = random.random(size)
    t = 2.0 * position - 1.0
    points = np.stack([t, 0.6 * np.sin(np.pi * t)], axis=-1)
    noisy = points + 0.05 * random.standard_normal(points.shape)
    return Split(noisy.astype(np.float32), np.minimum(3 * position, 2).astype(np.int32))
