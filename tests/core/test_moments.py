import tracemalloc

import numpy as np
import pytest

from vae_jax.core import moments as module
from vae_jax.core.moments import moments

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("block", [1, 60, 2**18])
def test_they_are_those_of_numpy_whatever_the_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", block)
    x = RANDOM.normal(1e3, [[1.0], [50.0]], (100, 2, 3))
    x[::7, 1] = x[3:, 0, 2] = np.nan
    expected = (np.nanmean, np.nanvar, np.nanmin, np.nanmax)
    for found, of in zip(moments(x), expected, strict=True):
        np.testing.assert_allclose(found, of(x, axis=0), rtol=1e-12)
    # What a block becomes first may have other numbers and fewer rows.
    some = np.flatnonzero(~np.isnan(x).any(axis=(1, 2)))
    for found, of in zip(moments(x, lambda part: part[~np.isnan(part).any(axis=(1, 2))] / 7), expected, strict=True):
        np.testing.assert_allclose(found, of(x[some] / 7, axis=0), rtol=1e-12)


def test_an_element_without_a_value_has_none() -> None:
    for x in (np.full((5, 2), [np.nan, 3.0]), np.zeros((0, 2))):
        found = moments(x)
        assert all(np.isnan(each[0]) for each in found)
    assert [float(each[1]) for each in moments(np.full((5, 2), [np.nan, 3.0]))] == [3.0, 0.0, 3.0, 3.0]


def test_bytes_stay_bytes() -> None:
    x = RANDOM.integers(0, 256, (2**15, 512), dtype=np.uint8)
    tracemalloc.start()
    found = moments(x, lambda some: some / 255)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A uniform byte has the variance (256² − 1) / 12.
    np.testing.assert_allclose(found.variance.mean() * 255**2, (256**2 - 1) / 12, rtol=1e-2)
    assert peak < x.nbytes
