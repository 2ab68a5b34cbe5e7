"""What the numbers of examples are: bits, counts up to a largest, or real numbers.

It is decided once, by the data that a model is trained on. Every other file is then read in the same way, so what an
example becomes does not depend on the others in its file.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from vae_jax.config.fields import Kind
from vae_jax.core.moments import Moments, moments
from vae_jax.data.reals import as_reals
from vae_jax.data.rows import blocks
from vae_jax.data.units import Units

# Integers up to here are the pixels of an image, and those far below are not.
_PIXELS = 255
_DIM = 128
# Standard deviations of real numbers that networks learn from, of the element where it is largest; and values.
_SPREADS = (0.01, 10.0)
_MOST_VALUE = 100.0
_MOST_COUNT = np.iinfo(np.int32).max
_REALS = "Real numbers, saved as float32, are for --binarisation none --likelihood normal."


def largest_count(name: str, arrays: Sequence[np.ndarray], kind: Kind | None, asked: int | None) -> int | None:
    """The largest count that training data can hold, `levels`; None where they are real numbers.

    `kind` is what the likelihood is for; None is whatever the values look like. `asked` is what the user says. Integers
    are counts, of 255 levels unless all are 0 or 1. For real numbers they are so only where they can be pixels. Real
    numbers are counts only where the likelihood needs counts or bits and all are whole. ValueError, with what to do.
    """
    arrays = [x for x in arrays if x.size]
    if not arrays:
        return asked
    least, most = min(x.min() for x in arrays), max(x.max() for x in arrays)
    floats = any(x.dtype.kind == "f" for x in arrays)
    whole = least >= 0 and (not floats or all(map(_are_whole, arrays)))
    if asked is not None:
        if not whole or (kind != "unbounded" and most > asked):
            values = f"counts up to {int(most)}" if whole else f"{'real ' if floats else ''}numbers {least:g}..{most:g}"
            raise ValueError(f"--levels {asked} does not fit {name}, which holds {values}.")
        return asked
    if kind == "columns":
        return None
    if floats and kind in ("reals", "intensities"):
        return None
    if floats and not (whole and (kind is not None or most <= 1)):
        if kind in ("counts", "unbounded"):
            raise ValueError(f"{name} holds real numbers {least:g}..{most:g}, which are no counts. {_REALS}")
        return None
    if kind == "reals" and not 0 <= least <= most <= _PIXELS:
        return None
    if least < 0:
        raise ValueError(f"{name} holds integers {least}..{most}, and a count is never negative. {_REALS}")
    if most > _MOST_COUNT:
        raise ValueError(f"{name} holds counts up to {int(most)}; the largest possible is {_MOST_COUNT}.")
    if most <= 1:
        return 1
    if kind == "unbounded":
        return max(int(most), _PIXELS)
    if most > _PIXELS:
        raise ValueError(
            f"{name} holds counts up to {int(most)}. Say the largest that there can be: --levels {int(most)}. {_REALS}"
        )
    return _PIXELS


def settled_count(name: str, arrays: Sequence[np.ndarray], kind: Kind | None, asked: int | None) -> int | None:
    """The same for a new run, which keeps it. ValueError where the values do not tell it and the user does not say."""
    levels = largest_count(name, arrays, kind, asked)
    if asked is not None or levels is None or levels <= 1:
        return levels
    most = max(int(x.max()) for x in arrays if x.size)
    if kind == "unbounded":
        return most
    if most < _DIM:
        raise ValueError(
            f"{name} holds counts up to {most}. Say the largest that there can be: --levels {most}, or --levels "
            f"{_PIXELS} if these are dark images."
        )
    return levels


def as_stored(name: str, x: np.ndarray, kind: Kind | None, levels: int | None) -> np.ndarray:
    """Values as a dataset stores them: counts as unsigned or 32-bit integers, real numbers as float32.

    ValueError, with what to do, where they are not the counts or the real numbers that `levels` says.
    """
    if levels is None:
        if kind in ("bits", "intensities") and not are_shares(x):
            raise ValueError(
                f"{name} holds values {x.min():g}..{x.max():g}, and the likelihood is for values between 0 and 1. "
                "Divide them by the largest that there can be, or use --binarisation none --likelihood normal."
            )
        return as_reals(name, x)
    if not x.size:
        return x.astype(_integers(levels))
    remedy = f"Save shares of the largest as integers: ({levels} * x).round().astype(int)."
    if x.dtype.kind == "b" and levels > 1:
        raise ValueError(f"{name} holds true and false, and the model is of counts 0..{levels}. {remedy}")
    if x.dtype.kind == "f" and not _are_whole(x):
        raise ValueError(f"{name} holds real numbers, and the model is of counts 0..{levels}. {remedy}")
    if x.dtype.kind == "f" and kind != "unbounded" and x.max() == 1 < levels:
        warnings.warn(
            f"{name} holds nothing but 0 and 1, as real numbers. They are read as counts 0..{levels}; shares of the "
            f"largest are saved as ({levels} * x).round().astype(int).",
            stacklevel=2,
        )
    least, most = x.min(), x.max()
    if least < 0 or most > (_MOST_COUNT if kind == "unbounded" else levels):
        raise ValueError(f"{name} holds counts {least:g}..{most:g}, and the model is of counts 0..{levels}.")
    return x.astype(_integers(max(levels, int(most))))


def are_shares(x: np.ndarray) -> bool:
    """Whether all values lie between 0 and 1."""
    return not x.size or bool(0 <= x.min() <= x.max() <= 1)


def _are_whole(x: np.ndarray) -> bool:
    return all(np.array_equal(some, np.floor(some)) for some in blocks(x))


def _integers(most: int) -> type:
    return np.uint8 if most <= 255 else np.uint16 if most <= 65535 else np.int32


def scale_fault(name: str, x: np.ndarray, units: Units | None = None) -> str | None:
    """Why a network learns badly from examples `[n, …]` of real numbers, and what to do; None where it learns well.

    `units`: what the network sees them in. Examples with a gap are left out.
    """

    def seen(some: np.ndarray) -> np.ndarray:
        some = some[~np.isnan(some).any(axis=tuple(range(1, some.ndim)))]
        return some if units is None else (some - units.centre) / units.spread

    found = moments(x, seen)
    if np.isnan(found.mean).all():
        return None
    spread, most = np.sqrt(found.variance), max(-found.least.min(), found.most.max())
    if not spread.any() or (_SPREADS[0] <= spread.max() <= _SPREADS[1] and most <= _MOST_VALUE):
        return None
    image = x.ndim == 4 and found.least.min() >= 0 and most <= _PIXELS
    remedy = "x / 255" if image else _standardised(found)
    return (
        f"the elements of {name} have values up to {most:.3g} and standard deviations up to {spread.max():.3g}. A "
        f"network learns well from values near 1: save {remedy}."
    )


def _standardised(found: Moments) -> str:
    """What brings values of these moments to a scale near 1, as Python; outliers are cut."""
    spread = np.sqrt(found.variance)
    least = 1e-6 if spread.max() > 1e-5 else float(f"{0.1 * spread.max():.0e}")
    farthest = (np.maximum(found.most - found.mean, found.mean - found.least) / np.maximum(spread, least)).max()
    cut = ".clip(-10, 10)" if farthest > _MOST_VALUE else ""
    whole = f"(x - x.mean(0)) / np.maximum(x.std(0), {least:.0e})".replace("e-0", "e-")
    return f"({whole}){cut}" if cut else whole
