import jax
import numpy as np
import pytest

import vae_jax as vj
from vae_jax.core.errors import ConfigError
from vae_jax.data import load, rows
from vae_jax.data.rows import Rows
from vae_jax.train.python import absolute, as_dataset, as_system, source_of

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "x",
    [
        RANDOM.normal(size=(40, 3)),
        (RANDOM.random((40, 3)) < 0.5).astype(float),
        RANDOM.integers(0, 500, (40, 3)),
        RANDOM.integers(0, 256, (40, 4, 4, 1), dtype=np.uint8),
        RANDOM.random((40, 3)) < 0.5,
    ],
)
def test_a_model_sees_arrays_as_they_are(x: np.ndarray) -> None:
    data = as_dataset(x)
    assert [len(split.x) for split in data.splits] == [29, 3, 8]
    seen = data.prepare(jax.random.key(0), data.train.batch())["x"]
    np.testing.assert_array_equal(seen, data.train.x.astype(np.float32 if x.dtype.kind == "f" else np.int32))
    rows = {row.tobytes() for row in np.asarray(x, data.train.x.dtype)}
    assert all(row.tobytes() in rows for split in data.splits for row in split.x)


def test_integers_below_zero_are_numbers_and_no_counts() -> None:
    spins = RANDOM.choice(np.array([-1, 1], np.int8), (40, 5))
    data = as_dataset(spins)
    assert data.levels is None
    assert not data.is_binary
    np.testing.assert_array_equal(np.unique(data.prepare(jax.random.key(0), data.train.batch())["x"]), [-1.0, 1.0])


def test_splits_and_labels_of_ones_own_stay() -> None:
    x = RANDOM.normal(size=(20, 3))
    data = as_dataset({"x": x, "label": ["a", "b"] * 10, "x_test": x[:5], "label_test": ["b"] * 5})
    assert data.classes == ("a", "b")
    np.testing.assert_array_equal(data.test.label, 1)
    assert [len(split.x) for split in data.splits] == [18, 2, 5]
    assert as_dataset(data) is data
    assert as_dataset("digits").name == load("digits").name == source_of("digits")
    assert source_of(x) == "arrays"


def test_parameters_may_depend_on_the_seed() -> None:
    vae = vj.VAE(lambda p, x: None, lambda p, z: None, lambda p: None)
    system = as_system(vae, lambda key, batch: {"seed": key, "size": len(batch["x"])})
    assert system.init("a key", {"x": [1, 2]}) == {"seed": "a key", "size": 2}  # pyright: ignore
    assert as_system(vae, {"w": 1}).init(None, None) == {"w": 1}  # pyright: ignore
    with pytest.raises(ValueError, match="num_samples"):
        as_system(vae, {}, num_samples=0)


def test_a_function_of_a_file_is_named_by_both(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("mine.py:build") == f"{tmp_path / 'mine.py'}:build"
    with pytest.raises(ConfigError, match="as my_model.py:build, got 'mine.py'"):
        absolute("mine.py")


class Source:
    """Examples that are asked for one by one, as those of Grain and PyTorch are."""

    def __init__(self, examples: list) -> None:
        self._examples = examples

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, i: int):
        return self._examples[i]


def test_a_source_is_its_examples_stacked() -> None:
    draws = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    labels = np.arange(40) % 2
    alone = as_dataset(Source(list(draws)))
    labelled = as_dataset(Source([{"x": x, "label": label} for x, label in zip(draws, labels, strict=True)]))
    expected = as_dataset({"x": draws, "label": labels})
    for dataset in (alone, labelled):
        np.testing.assert_array_equal(dataset.train.x, expected.train.x)
    np.testing.assert_array_equal(labelled.test.label, expected.test.label)


def test_a_source_that_does_not_fit_the_memory_is_asked_when_it_is_needed(monkeypatch) -> None:
    draws = np.random.default_rng(0).random((40, 3))
    source = Source([{"x": x, "label": i % 2} for i, x in enumerate(draws)])
    read = as_dataset(source)
    monkeypatch.setattr(rows, "_MOST_SHARE", 0.0)
    left = as_dataset(source)
    assert isinstance(left.train.x, Rows)
    assert left.train.x.dtype == np.float32
    for one, other in zip(left.splits, read.splits, strict=True):
        np.testing.assert_array_equal(np.asarray(one.x), other.x)
        np.testing.assert_array_equal(one.label, other.label)
    # Bits are told by looking at all of them, and so is an example of another shape.
    assert as_dataset(Source(list(draws.round()))).levels == 1
    with pytest.raises(ValueError, match="x must be of one shape"):
        as_dataset(Source([*draws, np.zeros(4)]))


def test_a_source_of_grain_is_one() -> None:
    grain = pytest.importorskip("grain", reason="no Grain: pip install grain")
    draws = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    source = grain.MapDataset.source(draws).map(lambda x: {"x": 2.0 * x})
    np.testing.assert_array_equal(as_dataset(source).train.x, as_dataset(2.0 * draws).train.x)


@pytest.mark.parametrize(
    ("examples", "message"),
    [([], "holds no examples"), ([np.zeros(2), np.zeros(3)], "x must be of one shape"), ([{"y": np.zeros(2)}], "no x")],
)
def test_a_source_that_fits_no_array_is_refused(examples: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_dataset(Source(examples))
