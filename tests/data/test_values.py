"""How the numbers of a file are read: by what the model is of, and never by what else the file holds."""

import tracemalloc

import numpy as np
import pytest

from vae_jax.data.units import units_of
from vae_jax.data.values import as_stored, largest_count, scale_fault, settled_count

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (20, 4)).astype(np.uint8)
BITS = RANDOM.integers(0, 2, (20, 4)).astype(np.uint8)
GENES = RANDOM.integers(0, 11_421, (20, 4))
GENES[0, 0] = 11_420
SHARES = RANDOM.random((20, 4)).astype(np.float32)
REALS = RANDOM.standard_normal((20, 4))

# Values, what the likelihood is for, and the largest count that they are read with.
READ = [
    (PIXELS, "bits", 255),
    (PIXELS, "counts", 255),
    (PIXELS, "unbounded", 255),
    (PIXELS, "intensities", 255),
    (PIXELS, "reals", 255),
    (PIXELS.astype(float), "bits", 255),
    (PIXELS.astype(float), "counts", 255),
    (PIXELS.astype(float), "reals", None),
    (BITS, "bits", 1),
    (BITS.astype(bool), "bits", 1),
    (BITS.astype(float), "bits", 1),
    (BITS.astype(float), "counts", 1),
    # Real numbers that happen to be 0 and 1 are real numbers, for a model of these.
    (BITS.astype(float), "reals", None),
    (BITS.astype(float), "intensities", None),
    (BITS.astype(float), None, 1),
    (SHARES, "bits", None),
    (SHARES, "intensities", None),
    (SHARES, "reals", None),
    (SHARES, None, None),
    (GENES, "unbounded", 11_420),
    (GENES.astype(np.float32), "unbounded", 11_420),
    (GENES, "reals", None),
    (REALS, "reals", None),
    (REALS, None, None),
    (-PIXELS.astype(int), "reals", None),
]


@pytest.mark.parametrize(("x", "kind", "levels"), READ)
def test_numbers_are_read_by_what_the_model_is_of(x: np.ndarray, kind, levels: int | None) -> None:
    assert largest_count("data", [x], kind, None) == levels
    stored = as_stored("data", x, kind, levels)
    np.testing.assert_allclose(stored, x, rtol=1e-6)
    assert stored.dtype == (np.float32 if levels is None else np.uint8 if levels <= 255 else np.uint16)
    # One example alone is the same numbers, also where it is blank.
    for row in (x[:1], np.zeros_like(x[:1])):
        np.testing.assert_array_equal(as_stored("alone", row, kind, levels).ravel(), row.astype(np.float32).ravel())


@pytest.mark.parametrize("most", [2, 4, 16, 127])
@pytest.mark.parametrize("kind", ["bits", "counts", "intensities", "reals"])
def test_small_integers_are_no_pixels_until_somebody_says_so(most: int, kind) -> None:
    x = RANDOM.integers(0, most + 1, (50, 4))
    x[0] = most
    with pytest.raises(ValueError, match=f"counts up to {most}. Say the largest .*: --levels {most}, or --levels 255"):
        settled_count("data", [x], kind, None)
    assert settled_count("data", [x], kind, most) == most
    assert settled_count("data", [x], kind, 255) == 255
    # Counts without a largest need none said.
    assert settled_count("data", [x], "unbounded", None) == most


@pytest.mark.parametrize(
    ("x", "kind", "levels", "message"),
    [
        (SHARES, "counts", 255, "holds real numbers, and the model is of counts 0..255. Save shares"),
        (REALS, "intensities", None, "holds values -.*, and the likelihood is for values between 0 and 1"),
        (PIXELS, "counts", 16, r"holds counts 0..25\d, and the model is of counts 0..16"),
        (BITS.astype(bool), "counts", 255, "holds true and false, and the model is of counts 0..255"),
        (REALS - 9, "unbounded", 50, "holds real numbers, and the model is of counts"),
        (np.full((2, 2), -1), "unbounded", 50, "holds counts -1..-1, and the model is of counts"),
    ],
)
def test_what_the_model_is_not_of_is_refused(x: np.ndarray, kind, levels, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_stored("data", x, kind, levels)


@pytest.mark.parametrize(
    ("x", "kind", "asked", "message"),
    [
        (REALS, "counts", None, "holds real numbers -.*, which are no counts. Real numbers, saved as float32, are for"),
        (SHARES, "unbounded", None, "which are no counts"),
        (GENES, "counts", None, "counts up to 11420. Say the largest that there can be: --levels 11420"),
        (GENES, "bits", None, "--levels 11420"),
        (GENES, "counts", 255, "--levels 255 does not fit data, which holds counts up to 11420"),
        (SHARES, "reals", 255, "--levels 255 does not fit data, which holds real numbers"),
        (-GENES, "counts", None, "a count is never negative"),
    ],
)
def test_what_cannot_be_decided_is_said(x: np.ndarray, kind, asked, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        largest_count("data", [x], kind, asked)


def test_counts_without_a_largest_may_exceed_those_of_training() -> None:
    assert as_stored("data", GENES, "unbounded", 50).max() == 11_420


@pytest.mark.parametrize("kind", ["bits", "counts", "intensities", "reals"])
def test_dark_pixels_are_dark_alone_too(kind) -> None:
    dark = np.ones((1, 4), np.uint8)
    beside = as_stored("two", np.r_[dark, PIXELS], kind, 255)
    np.testing.assert_array_equal(as_stored("alone", dark, kind, 255), beside[:1])
    # Real numbers that may be shares of the largest are counts, with a word.
    with pytest.warns(UserWarning, match="holds nothing but 0 and 1, as real numbers. They are read as counts 0..255"):
        np.testing.assert_array_equal(as_stored("alone", dark.astype(float), kind, 255), beside[:1])


@pytest.mark.parametrize(
    ("x", "fault"),
    [
        (REALS, False),
        (SHARES, False),
        (REALS * 5 + 20, False),
        (np.zeros((9, 3)), False),
        (REALS * 300, True),
        (REALS + 5000, True),
        (REALS * 1e-4, True),
        (PIXELS.astype(np.float32), True),
        (REALS * np.array([0.01, 1.0, 10.0, 1000.0]), True),
        (REALS * 1e-9, True),
        # One example far from 40,000 others.
        (np.r_[np.resize(REALS, (40_000, 4)), np.full((1, 4), 1e9)], True),
    ],
)
def test_a_scale_that_networks_learn_badly_from_is_told(x: np.ndarray, fault: bool) -> None:
    said = scale_fault("data", x)
    assert (said is not None) == fault
    if said is not None:
        # The advice, taken to the letter.
        better = eval(said.rpartition("save ")[2].rstrip("."), {"np": np, "x": x})
        assert scale_fault("data", better) is None


def test_images_of_real_numbers_are_divided() -> None:
    images = PIXELS.reshape(-1, 2, 2, 1).astype(np.float32)
    assert "save x / 255." in str(scale_fault("images", images))
    assert scale_fault("images", images / 255) is None


def test_a_gap_is_no_fault_of_the_scale() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    x[::7, 1] = np.nan
    assert scale_fault("data", x) is None
    assert "save (x - x.mean(0))" in str(scale_fault("data", 1e4 * x))
    assert scale_fault("data", np.full((4, 2), np.nan)) is None


def test_the_scale_is_that_of_what_a_network_sees() -> None:
    x = (1e4 * np.random.default_rng(0).normal(size=(50, 3)) + [0.0, 1.0, 1e6]).astype(np.float32)
    assert scale_fault("data", x) is not None
    assert scale_fault("data", x, units_of(x)) is None


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_the_scale_is_found_without_a_copy(scale: float) -> None:
    x = (scale * np.random.default_rng(0).normal(size=(2**15, 128))).astype(np.float32)
    units = units_of(x)
    tracemalloc.start()
    assert (scale_fault("data", x) is None) == (scale == 1.0)
    assert scale_fault("data", x, units) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes
