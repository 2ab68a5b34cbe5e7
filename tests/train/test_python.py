import dataclasses
from typing import Any

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
    [
        ([], "holds no examples"),
        ([np.zeros(2), np.zeros(3)], "x must be of one shape"),
        ([{"y": np.zeros(2)}], "none named x"),
    ],
)
def test_a_source_that_fits_no_array_is_refused(examples: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_dataset(Source(examples))


def test_an_example_may_be_a_tuple_of_x_and_its_label() -> None:
    x, label = np.random.default_rng(0).random((40, 3)).astype(np.float32), np.arange(40) % 2
    expected = as_dataset({"x": x, "label": label})
    for source in ([(row,) for row in x], list(zip(x, label, strict=True))):
        np.testing.assert_array_equal(as_dataset(Source(source)).train.x, expected.train.x)
    np.testing.assert_array_equal(as_dataset(Source(list(zip(x, label, strict=True)))).test.label, expected.test.label)
    with pytest.raises(ValueError, match="or a dict of them, got a tuple: {'x': …, 'label': …}"):
        as_dataset((x, label))


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"label": np.zeros(41, int)}, r"labels must have shape \(40,\), got \(41,\)"),
        ({"label": np.zeros((40, 1), int)}, r"labels must have shape \(40,\)"),
        ({"label_test": np.zeros(4, int)}, "holds label_test, but no x_test"),
        ({"x_test": np.zeros((9, 2))}, "x_test must be of the same kind as the training examples, float64 of shape"),
        ({"x_test": np.zeros((9, 3)), "label_test": np.zeros(8, int)}, r"labels must have shape \(9,\)"),
        ({"condition": np.zeros(39)}, r"condition must be numbers of shape \(40,\)"),
        ({"condition": np.array(["a"] * 40)}, "condition must be numbers of shape"),
        ({"condition": np.full(40, np.nan)}, "condition holds NaN or infinite"),
        ({"x_test": np.full((9, 3), np.inf)}, "9 of 9 examples hold infinite values, the first is number 0"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(beside: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_dataset({"x": np.random.default_rng(0).random((40, 3)), **beside})


def test_arrays_have_the_names_of_a_file_and_others_are_told() -> None:
    x = np.random.default_rng(0).random((40, 3))
    with pytest.warns(UserWarning, match="the data: the arrays weight are not read"):
        dataset = as_dataset({"x_train": x, "x_valid": x[:20], "labels": np.arange(40) % 2, "weight": np.ones(40)})
    assert len(dataset.validation.x) == 20
    assert dataset.train.label is not None


@pytest.mark.parametrize("kind", [np.int64, np.uint32, np.uint64])
def test_integers_beyond_32_bits_keep_their_values(kind: type) -> None:
    x = np.stack([2**31 + 1000 * np.arange(40), np.arange(40)], axis=1).astype(kind)
    dataset = as_dataset(x)
    seen = dataset.prepare(jax.random.key(0), dataset.train.batch())["x"]
    assert float(seen[:, 0].min()) >= 2**31
    small = as_dataset(np.arange(40, dtype=kind).reshape(20, 2))
    assert small.prepare(jax.random.key(0), small.train.batch())["x"].dtype == np.int32


def test_a_model_that_can_be_called_is_no_initialiser() -> None:
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Net:
        weight: Any

        def __call__(self, x: Any) -> Any:
            return self.weight * x

    vae = vj.VAE(lambda p, x: None, lambda p, z: None, lambda p: None)
    net = Net(np.ones(2))
    assert as_system(vae, net).init(None, None) is net  # pyright: ignore
    partial = jax.tree_util.Partial(lambda scale, key, batch: {"w": scale}, np.ones(3))
    np.testing.assert_array_equal(as_system(vae, partial).init(None, None)["w"], 1.0)  # pyright: ignore
