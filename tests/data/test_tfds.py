from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from vae_jax.config.files import load_config
from vae_jax.data import Reading, Square, load, rows, tfds, whole
from vae_jax.data.rows import Rows
from vae_jax.train.loop import train
from vae_jax.train.run import create


def test_mnist_is_read_without_tensorflow(shared_data) -> None:
    data = load("mnist", data_dir=shared_data("tfds/mnist").parent, validation_size=10_000)
    assert data.shape == (28, 28, 1)
    assert (len(data.train.x), len(data.validation.x), len(data.test.x)) == (50_000, 10_000, 10_000)
    assert data.train.x.dtype == np.uint8
    # Published: the mean of the MNIST training images is 0.1307 of white.
    everything = np.concatenate([data.train.x, data.validation.x])
    assert everything.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert np.bincount(data.test.label).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize("make", [True, False])
def test_a_missing_or_empty_folder_is_named_with_the_command(tmp_path, make: bool) -> None:
    folder = tmp_path / "data"
    if make:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no data for mnist: the folder .*mnist .*--data-dir.*tfds build"):
        load("mnist", data_dir=folder)


class MockSource(list):
    """What TFDS's mock data lack: several items at once."""

    def __getitems__(self, rows):
        return [self[row] for row in rows]


@pytest.fixture
def celeb_a(tmp_path, monkeypatch):
    """A folder that seems to hold celeb_a, read as TFDS's mock data of it: faces of noise, forty attributes."""
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=6):
        splits = {name: tfds.data_source("celeb_a", split=name) for name in ("train", "test")}
        rows = {name: MockSource(split[i] for i in range(6)) for name, split in splits.items()}
    monkeypatch.setattr(tfds, "data_source", lambda name, **_: rows)
    (tmp_path / "celeb_a" / "2.1.0").mkdir(parents=True)
    (tmp_path / "celeb_a" / "2.1.0" / "celeb_a-train.array_record-00000-of-00001").touch()
    return tmp_path, rows


def test_images_are_decoded_once(celeb_a, monkeypatch) -> None:
    import tensorflow_datasets as tfds

    folder, _ = celeb_a
    first = load("celeb_a", Reading(square=Square(64), label="Smiling"), data_dir=folder, validation_size=2)
    monkeypatch.setattr(tfds, "data_source", lambda name, **_: pytest.fail("read again"))
    again = load("celeb_a", Reading(square=Square(64), label="Smiling"), data_dir=folder, validation_size=2)
    for split in ("train", "validation", "test"):
        for array, same in zip(getattr(first, split), getattr(again, split), strict=True):
            np.testing.assert_array_equal(array, same)
    # Other files, another label or another size are other images.
    for other in ({"square": Square(32), "label": "Smiling"}, {"square": Square(64), "label": "Young"}):
        with pytest.raises(pytest.fail.Exception, match="read again"):
            load("celeb_a", Reading(**other), data_dir=folder)
    (file,) = (folder / "celeb_a" / "2.1.0").iterdir()
    file.write_bytes(b"changed")
    with pytest.raises(pytest.fail.Exception, match="read again"):
        load("celeb_a", Reading(square=Square(64), label="Smiling"), data_dir=folder)


def test_faces_are_cut_and_scaled_and_labelled_by_an_attribute(celeb_a) -> None:
    folder, rows = celeb_a
    data = load("celeb_a", Reading(square=Square(64, crop=148), label="Smiling"), data_dir=folder, validation_size=2)
    assert data.shape == (64, 64, 3)
    assert (len(data.train.x), len(data.validation.x), len(data.test.x)) == (4, 2, 6)
    assert data.test.label.tolist() == [int(row["attributes"]["Smiling"]) for row in rows["test"]]
    assert load("celeb_a", data_dir=folder).shape == (218, 178, 3)
    assert load("celeb_a", data_dir=folder).train.label is None


def test_faces_that_do_not_fit_the_memory_are_decoded_when_they_are_needed(celeb_a, monkeypatch) -> None:
    reading = Reading(square=Square(16), label="Smiling")
    read = load("celeb_a", reading, data_dir=celeb_a[0], validation_size=2)
    monkeypatch.setattr(rows, "_MOST_SHARE", 0.0)
    monkeypatch.setenv("VAE_JAX_CACHE", str(celeb_a[0] / "cache"))
    left = load("celeb_a", reading, data_dir=celeb_a[0], validation_size=2)
    assert isinstance(left.train.x, Rows)
    assert isinstance(left.test.x, np.ndarray)
    for one, other in zip(left.splits, read.splits, strict=True):
        np.testing.assert_array_equal(np.asarray(one.x), other.x)
        np.testing.assert_array_equal(one.label, other.label)


def test_images_of_several_sizes_are_refused_or_scaled(celeb_a) -> None:
    folder, found = celeb_a
    found["test"][3] = found["test"][3] | {"image": np.zeros((10, 12, 3), np.uint8)}
    with pytest.raises(ValueError, match=r"test, row 0 is an image of 218×178 pixels, row 3 of 10×12. .*--image-size"):
        load("celeb_a", data_dir=folder)
    assert load("celeb_a", Reading(square=Square(8)), data_dir=folder).test.x.shape == (6, 8, 8, 3)


def test_an_attribute_that_is_not_there_is_named(celeb_a, monkeypatch) -> None:
    monkeypatch.setattr(tfds, "_images", lambda *of: pytest.fail("decoded before it was told"))
    # Landmarks are many numbers, no label.
    for wrong in ("Grinning", "landmarks", "image"):
        with pytest.raises(ValueError, match=rf"celeb_a has no label '{wrong}'; it has .*Smiling"):
            load("celeb_a", Reading(label=wrong), data_dir=celeb_a[0])
    with pytest.raises(ValueError, match=r"--label Smiling chooses among several .* but digits has one at most"):
        load("digits", Reading(label="Smiling"))


def test_a_vae_of_faces_trains(celeb_a, tmp_path) -> None:
    config = load_config("celeb_a")
    config = replace(
        config,
        data=replace(config.data, data_dir=str(celeb_a[0]), validation_size=2),
        model=replace(config.model, hidden=(4, 8, 8, 8), latent_size=4),
        train=replace(config.train, epochs=2, batch_size=2),
    )
    run = create(config, tmp_path / "run")
    assert train(run, Console(quiet=True)).state.train.step == 4
    assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize(("name", "count"), [("dsprites", 5), ("shapes3d", 6)])
def test_datasets_of_tfds_with_known_factors(name: str, count: int, tmp_path: Path, monkeypatch: Any) -> None:
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=20):
        source = tfds.data_source(name, split="train")
        rows = MockSource(source[i] for i in range(20))
    monkeypatch.setattr(tfds, "data_source", lambda name, **_: {"train": rows})
    (tmp_path / name / "1.0.0").mkdir(parents=True)
    (tmp_path / name / "1.0.0" / f"{name}-train.array_record-00000-of-00001").touch()
    data = whole(name, data_dir=tmp_path)
    assert data.train.factors is not None
    assert data.train.factors.shape == (20, count)
    assert data.shape == (64, 64, 1 if name == "dsprites" else 3)
    labels = sorted(feature for feature in rows[0] if feature.startswith("label_"))
    assert len(labels) == count
    np.testing.assert_array_equal(data.train.factors[:, 0], [row[labels[0]] for row in rows])
    named = whole(name, Reading(label="label_shape"), data_dir=tmp_path)
    np.testing.assert_array_equal(named.train.label, [row["label_shape"] for row in rows])


def test_images_of_bits_are_counts_up_to_one(tmp_path: Path, monkeypatch: Any) -> None:
    import tensorflow_datasets as tfds

    rows = MockSource({"image": np.full((4, 4, 1), i % 2, np.uint8), "label_shape": i % 3} for i in range(6))
    monkeypatch.setattr(tfds, "data_source", lambda name, **_: {"train": rows})
    (tmp_path / "dsprites" / "1.0.0").mkdir(parents=True)
    (tmp_path / "dsprites" / "1.0.0" / "dsprites-train.array_record-00000-of-00001").touch()
    assert whole("dsprites", data_dir=tmp_path).levels == 1
