import tracemalloc
from dataclasses import replace

import jax
import numpy as np
import pytest

from vae_jax.data import Split, binarised, load, rows, stand_in
from vae_jax.data.dataset import Dataset, split_rows


def test_dynamic_bits_follow_the_key_and_have_the_right_mean() -> None:
    data = load("digits", binarisation="dynamic")
    batch = data.train.take(slice(50)).batch()
    keys = jax.random.split(jax.random.key(0), 400)
    drawn = jax.vmap(lambda key: data.prepare(key, batch)["x"])(keys)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn[3], data.prepare(keys[3], batch)["x"])
    error = 5 * np.sqrt(0.25 / 400)
    np.testing.assert_allclose(drawn.mean(axis=0), data.intensities(batch["x"]), atol=error)


def test_static_bits_are_drawn_once_from_the_seed() -> None:
    a, b, c = (load("digits", binarisation="static", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.train.x, b.train.x)
    assert set(np.unique(a.train.x)) == {0, 1}
    assert (a.train.x != c.train.x).any()
    raw = load("digits").train.x / 16
    assert abs(a.train.x.mean() - raw.mean()) < 0.005
    first, second = (a.prepare(jax.random.key(seed), a.test.batch())["x"] for seed in (0, 1))
    np.testing.assert_array_equal(first, second)


def test_static_bits_are_those_of_one_draw_without_a_float_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 2**17)
    # Rows of an odd size: half of what the generator makes at once is left for the next block.
    x = np.random.default_rng(0).integers(0, 256, (30_000, 7, 9, 1), dtype=np.uint8)
    other = Split(x[:11], None)
    data = Dataset("some", Split(x, None), other, other, levels=255, binarisation="none", seed=3)
    tracemalloc.start()
    found = binarised(data, "static")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    random = np.random.default_rng(3)
    for split, drawn in zip(data.splits, found.splits, strict=True):
        bits = random.random(split.x.shape, dtype=np.float32) * 255 < split.x
        np.testing.assert_array_equal(drawn.x, bits)
        assert drawn.x.dtype == np.uint8
    # The bits themselves, and little more.
    assert peak < 2 * x.nbytes


def test_real_numbers_stay_as_they_are() -> None:
    data = load("curve")
    np.testing.assert_array_equal(data.prepare(jax.random.key(0), data.test.batch())["x"], data.test.x)
    with pytest.raises(ValueError, match="'dynamic' draws bits from counts, or .*--likelihood normal"):
        load("curve", binarisation="dynamic")
    with pytest.raises(ValueError, match="binarisation must be one of dynamic, static, none"):
        load("digits", binarisation="sometimes")  # pyright: ignore


def test_splits_are_disjoint_and_fixed() -> None:
    split = Split(np.arange(20)[:, None], None)
    parts = split_rows(split, (4, 5), 0)
    assert [len(part.x) for part in parts] == [11, 4, 5]
    assert sorted(np.concatenate([part.x[:, 0] for part in parts])) == list(range(20))
    np.testing.assert_array_equal(parts[0].x, split_rows(split, (4, 5), 0)[0].x)
    with pytest.raises(
        ValueError, match="20 examples cannot give 10 for validation and 10 for test.* --validation-size None"
    ):
        split_rows(split, (10, 10), 0)


def test_the_protocol_names_everything() -> None:
    found = load("digits", binarisation="static", seed=3, validation_size=100).protocol()
    assert found == {
        "dataset": "digits",
        "binarisation": "static",
        "levels": 16,
        "data_seed": 3,
        "train_examples": 1338,
        "validation_examples": 100,
        "test_examples": 359,
    }


def test_drawings_are_told_from_photographs() -> None:
    assert not load("digits").photographs
    assert not stand_in("sprites").photographs
    assert not load("curve").photographs
    digits = load("digits")
    framed = replace(digits, train=digits.train._replace(x=np.maximum(digits.train.x, 5)))
    assert binarised(framed, "none").photographs
    # Bits are ink, whatever they are drawn from.
    assert not binarised(framed, "dynamic").photographs


def test_pictures_of_real_numbers_show_all_of_their_range() -> None:
    x = np.linspace(-1.0, 1.0, 40 * 16, dtype=np.float32).reshape(40, 4, 4, 1)
    data = binarised(Dataset("x", *split_rows(Split(x, None), (4, 4), 0), None, "none", 0), "none")
    shades = data.shades(data.train.x)
    assert shades.min() == 0.0
    least = data.train.x.min()
    np.testing.assert_allclose(shades, (data.train.x - least) / (1.0 - least), atol=1e-6)
    # Shares stay as they are.
    inside = binarised(replace(data, train=data.train._replace(x=0.5 + 0.1 * data.train.x)), "none")
    np.testing.assert_array_equal(inside.shades(inside.train.x), inside.train.x)
