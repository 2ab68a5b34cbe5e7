import numpy as np
import pytest
from PIL import Image

from vae_jax.data import rows
from vae_jax.data.hugging_face import hugging_face_splits, is_saved
from vae_jax.data.images import Square

datasets = pytest.importorskip("datasets", reason="the extra huggingface is not installed")


def images(count: int):
    kinds = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    pictures = [Image.fromarray(np.full((6, 6), 40 * i, np.uint8)) for i in range(count)]
    return datasets.Dataset.from_dict({"image": pictures, "label": [i % 2 for i in range(count)]}, features=kinds)


def test_images_come_with_the_names_of_their_classes(tmp_path) -> None:
    folder = tmp_path / "saved ü"
    datasets.DatasetDict({"train": images(4), "test": images(2)}).save_to_disk(folder)
    assert is_saved(folder)
    assert not is_saved(tmp_path)
    found = hugging_face_splits(str(folder))
    assert {part: split.x.shape for part, split in found.items()} == {"train": (4, 6, 6, 1), "test": (2, 6, 6, 1)}
    assert found["train"].x[:, 0, 0, 0].tolist() == [0, 40, 80, 120]
    assert found["train"].label.tolist() == ["cat", "dog", "cat", "dog"]
    assert hugging_face_splits(str(folder), square=Square(3), colour="colour")["test"].x.shape == (2, 3, 3, 3)
    with pytest.raises(ValueError, match="no such column; there are image, label"):
        hugging_face_splits(str(folder), label="job")


def test_images_that_do_not_fit_the_memory_are_decoded_when_they_are_needed(tmp_path, monkeypatch) -> None:
    images(4).save_to_disk(tmp_path / "rows")
    monkeypatch.setattr(rows, "_MOST_SHARE", 0.0)
    x = hugging_face_splits(str(tmp_path / "rows"))["train"].x
    assert isinstance(x, rows.Rows)
    assert x[:][:, 0, 0, 0].tolist() == [0, 40, 80, 120]


def test_other_columns_are_a_table(tmp_path) -> None:
    data = datasets.Dataset.from_dict({"age": [1.5, None], "job": ["a", "b"]})
    data.save_to_disk(tmp_path / "rows")
    (found,) = hugging_face_splits(str(tmp_path / "rows")).values()
    np.testing.assert_array_equal(found.columns["age"], [1.5, np.nan])
    assert found.columns["job"].tolist() == ["a", "b"]
    datasets.DatasetDict({"all": data}).save_to_disk(tmp_path / "all")
    with pytest.raises(ValueError, match="has the splits all, but none called train"):
        hugging_face_splits(str(tmp_path / "all"))


def test_a_word_for_a_gap_is_one_but_not_the_name_of_a_class(tmp_path) -> None:
    kinds = datasets.Features({"job": datasets.Value("string"), "area": datasets.ClassLabel(names=["EU", "NA"])})
    datasets.Dataset.from_dict({"job": ["a", "?", ""], "area": [0, 1, 1]}, features=kinds).save_to_disk(tmp_path / "t")
    (found,) = hugging_face_splits(str(tmp_path / "t")).values()
    assert found.columns["job"].tolist() == ["a", None, None]
    assert found.columns["area"].tolist() == ["EU", "NA", "NA"]
    (before,) = hugging_face_splits(str(tmp_path / "t"), gap_words=False).values()
    assert before.columns["job"].tolist() == ["a", "?", ""]


def test_labels_may_be_numbers_and_a_class_may_be_unknown(tmp_path) -> None:
    plain = images(4).cast_column("label", datasets.Value("int64"))
    plain.with_format("numpy").save_to_disk(tmp_path / "plain")
    assert hugging_face_splits(str(tmp_path / "plain"))["train"].label.tolist() == [0, 1, 0, 1]
    named = images(4).remove_columns("label").add_column("label", ["a", None, "b", "a"])
    named.save_to_disk(tmp_path / "named")
    assert hugging_face_splits(str(tmp_path / "named"))["train"].label.tolist() == ["a", "", "b", "a"]
    real = images(4).remove_columns("label").add_column("label", [0.5, 1.5, 2.5, 3.5])
    real.save_to_disk(tmp_path / "real")
    assert hugging_face_splits(str(tmp_path / "real"))["train"].label is None, "real numbers are no classes"
    kinds = datasets.Features({"size": datasets.Value("float64"), "sex": datasets.ClassLabel(names=["f", "m"])})
    rows = datasets.Dataset.from_dict({"size": [1.5, 2.5, 3.5], "sex": [0, None, 1]}, features=kinds)
    rows.save_to_disk(tmp_path / "rows")
    assert hugging_face_splits(str(tmp_path / "rows"))["train"].columns["sex"].tolist() == ["f", None, "m"]


def test_a_row_without_its_image_is_named(tmp_path) -> None:
    kinds = datasets.Features({"image": datasets.Image()})
    pictures = [Image.new("L", (6, 6)), None]
    datasets.Dataset.from_dict({"image": pictures}, features=kinds).save_to_disk(tmp_path / "rows")
    with pytest.raises(ValueError, match="row 1 cannot be read as an image: it is missing"):
        hugging_face_splits(str(tmp_path / "rows"))
