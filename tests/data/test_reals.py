import warnings

import numpy as np
import pytest

from vae_jax.data.reals import as_reals

RANDOM = np.random.default_rng(0).standard_normal((50, 3))


@pytest.mark.parametrize(
    ("offset", "scale", "told"),
    [(0.0, 1.0, False), (1e5, 1.0, False), (1.7e9, 10.0, True), (1.7e9, 1e5, False), (0.0, 1e-30, False)],
)
def test_digits_that_go_are_told_of(offset: float, scale: float, told: bool) -> None:
    x = RANDOM.copy()
    x[:, 1] = offset + scale * x[:, 1]
    x[3, 1] = np.nan
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        reals = as_reals("mine", x, ["a", "time", "b"])
    np.testing.assert_array_equal(reals, x.astype(np.float32))
    assert [str(warning.message)[:31] for warning in found] == (["mine: column time holds numbers"] if told else [])


@pytest.mark.parametrize(
    "x",
    [
        np.full((4, 2), 7.1),
        np.full((4, 2), np.nan),
        np.zeros((0, 2)),
        RANDOM.astype("f4"),
        np.full((999, 2), 100, "f2"),
    ],
)
def test_what_has_no_digits_to_lose_is_left_alone(x: np.ndarray) -> None:
    np.testing.assert_array_equal(as_reals("mine", x), x.astype(np.float32))


def test_numbers_beyond_float32_are_refused() -> None:
    with pytest.raises(ValueError, match="mine holds numbers beyond 3.4e38"):
        as_reals("mine", np.array([[1.0, 1e39], [2.0, np.nan]]))
    assert np.isinf(as_reals("mine", np.array([[1.0, np.inf]]))[0, 1])
