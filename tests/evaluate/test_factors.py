import numpy as np
import pytest

from vae_jax.evaluate.factors import checked, pieces, varies

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("value", [0.1, 1.0 / 3.0, -7e5, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_column_that_differs_in_its_last_digit_is_constant(value: float, dtype: type) -> None:
    number = dtype(value)
    rounded = np.where(RANDOM.random(50) < 0.5, number, np.nextafter(number, dtype(np.inf)))
    columns = np.stack(
        [np.full(50, number), rounded, number * (1 + dtype(0.01) * RANDOM.random(50).astype(dtype))], axis=1
    )
    assert varies(columns.astype(dtype)).tolist() == [False, False, True]


def test_whole_numbers_have_no_rounding() -> None:
    large = np.array([2**40, 2**40 + 1] * 5)
    assert varies(np.stack([large, np.full(10, 7)], axis=1)).tolist() == [True, False]


def test_pieces_have_equal_width_from_the_least_on() -> None:
    found = pieces(np.linspace(-1.0, 1.0, 2001))
    assert (found.min(), found.max()) == (0, 19)
    assert np.ptp(np.bincount(found)) <= 2


def test_whole_numbers_are_classes_however_they_are_stored_and_others_are_real() -> None:
    factors = np.stack([RANDOM.integers(3, 6, 40).astype(float), RANDOM.standard_normal(40)], axis=1)
    factors[:3, 0] = (3, 4, 5)
    codes, (classes, real) = checked("a score", RANDOM.standard_normal((40, 2)), factors)
    assert codes.dtype == np.float64
    assert (classes.real, real.real) == (False, True)
    np.testing.assert_array_equal(classes.values, factors[:, 0] - 3)
    np.testing.assert_array_equal(classes.pieces, classes.values)
    np.testing.assert_array_equal(real.pieces, pieces(factors[:, 1]))


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.zeros(5), np.zeros((5, 1)), r"a score: codes must have shape \(n, c\), got \(5,\)"),
        (np.zeros((5, 2)), np.zeros((4, 1)), "got 5 codes and 4 rows of factors"),
    ],
)
def test_what_no_score_can_take_is_refused(codes, factors, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked("a score", codes, factors)
