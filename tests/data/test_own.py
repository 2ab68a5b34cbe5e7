import pickle
import shutil

import numpy as np
import pytest

from vae_jax.data import load, whole_like
from vae_jax.data.own import Reading, is_own, proposed, read_all_cells, read_like, read_own
from vae_jax.data.table import write_table

COLUMNS = Reading("columns")
MIXED = {"age": [31.5, None, 2.0, 7.25], "sex": ["f", "m", "f", None], "label": ["a", "b", "a", None]}


def table(path, columns=None):
    write_table(path, columns or MIXED)
    return str(path)


def test_names_of_the_users_own_data_are_told_from_those_of_datasets() -> None:
    for name in ("a.npz", "a.npy", "a.csv", "a.parquet", "./photos", "/photos", "hf:mnist"):
        assert is_own(name)
    for name in ("digits", "mnist", "photos", "lines.txt", "/some/lines.smi.gz", "curve (stand-in)"):
        assert not is_own(name)


def test_a_table_becomes_rows_with_the_values_of_its_columns(tmp_path) -> None:
    name = table(tmp_path / "mixed.csv")
    found = read_own(name, COLUMNS)
    assert found.columns is not None
    assert [(c.name, c.family, c.values) for c in found.columns] == [("age", "reals", ()), ("sex", "bits", ("f", "m"))]
    np.testing.assert_array_equal(found.splits["train"].x, [[31.5, 0], [np.nan, 1], [2, 0], [7.25, np.nan]])
    assert found.splits["train"].label.tolist() == ["a", "b", "a", ""]
    assert len(read_all_cells(name, COLUMNS)["age"].values) == 4
    # The user has the last word, and another column may be the label.
    asked = Reading("columns", label="sex", columns=("label=categories", "age=skip"))
    found = read_own(name, asked)
    assert [column.name for column in found.columns] == ["label"]
    assert found.splits["train"].label.tolist() == ["f", "m", "f", ""]
    assert proposed(name, asked)["age"] == ("skip", "as you say")


def test_another_table_is_read_as_the_first_was(tmp_path) -> None:
    known = read_own(table(tmp_path / "a.csv"), COLUMNS).columns
    other = table(tmp_path / "b.csv", {"sex": ["m", "x"], "age": [1.0, 2.0]})
    with pytest.warns(UserWarning, match="sex holds x, which the model was not trained on. They are taken for gaps"):
        found = read_like(other, COLUMNS, known, None)
    np.testing.assert_array_equal(found.splits["train"].x, [[1, 1], [2, np.nan]])
    with pytest.raises(ValueError, match="lacks the columns sex"):
        read_like(table(tmp_path / "c.csv", {"age": [1.0]}), COLUMNS, known, None)
    with pytest.raises(ValueError, match="the columns age hold strings where the model knows numbers"):
        read_like(table(tmp_path / "d.csv", {"age": ["old"], "sex": ["f"]}), COLUMNS, known, None)


def test_columns_are_known_by_their_names_not_their_places(tmp_path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    for part, columns in (("train", "abc"), ("test", "cab"), ("validation", "bcda")):
        table(folder / f"{part}.csv", {name: [float(ord(name)), ord(name) + 0.5] for name in columns})
    for kind in ("reals", "columns"):
        found = read_own(str(folder), Reading(kind))
        for split in found.splits.values():
            np.testing.assert_array_equal(split.x, [[97, 98, 99], [97.5, 98.5, 99.5]])
    assert read_own(str(folder), Reading("reals")).names == ("a", "b", "c")
    other = read_like(str(folder / "validation.csv"), Reading("reals"), None, ("a", "b", "c"))
    np.testing.assert_array_equal(other.splits["train"].x, [[97, 98, 99], [97.5, 98.5, 99.5]])
    with pytest.raises(ValueError, match="lacks the columns z, which the model is trained on"):
        read_like(str(folder / "test.csv"), Reading("reals"), None, ("a", "z"))
    table(folder / "test.csv", {"a": [1.0], "c": [2.0]})
    with pytest.raises(ValueError, match=r"the test split of .*parts lacks the columns b, which"):
        read_own(str(folder), Reading("reals"))


def test_splits_are_a_column_or_files_of_their_own(tmp_path) -> None:
    rows = {"x": [1.5, 2.5, 3.5, 4.5], "split": ["train", "val", "train", "test"]}
    found = read_own(table(tmp_path / "rows.csv", rows), Reading()).splits
    assert {part: split.x.tolist() for part, split in found.items()} == {
        "train": [[1.5], [3.5]],
        "validation": [[2.5]],
        "test": [[4.5]],
    }
    with pytest.raises(ValueError, match="says which split a row is of"):
        read_own(table(tmp_path / "wrong.csv", rows | {"split": ["a", "b", "c", "d"]}), Reading())
    folder = tmp_path / "parts"
    folder.mkdir()
    np.savez(folder / "train.npz", x=np.zeros((3, 2)), label=np.arange(3))
    np.savez(folder / "test.npz", x=np.ones((2, 2)), label=np.arange(2))
    found = read_own(str(folder), Reading()).splits
    assert {part: len(split.x) for part, split in found.items()} == {"train": 3, "test": 2}


def test_a_plain_table_is_numbers_and_a_mixed_one_says_what_to_do(tmp_path) -> None:
    plain = table(tmp_path / "plain.csv", {"a": [1.5, 2.5], "b": [True, False]})
    np.testing.assert_array_equal(read_own(plain, Reading("reals")).splits["train"].x, [[1.5, 1], [2.5, 0]])
    mixed = table(tmp_path / "mixed.csv")
    with pytest.raises(ValueError, match=r"columns age \(gaps\), sex \(strings\), .* vae-jax train table --dataset"):
        read_own(mixed, Reading("reals"))
    # Without a likelihood the values decide.
    assert read_own(mixed, Reading()).columns is not None
    # Arrays may be a table too.
    np.savez(tmp_path / "a.npz", x=np.array([[0.0, 0.5], [1.0, np.nan], [1.0, 2.5]]))
    found = read_own(str(tmp_path / "a.npz"), COLUMNS)
    assert [column.family for column in found.columns] == ["bits", "reals"]


def test_what_is_not_there_or_of_another_kind_is_said(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="It must be a folder of images, or a file ending in"):
        read_own(str(tmp_path / "none"), Reading())
    with pytest.raises(ValueError, match="no such column; there are age, sex, label"):
        read_own(table(tmp_path / "mixed.csv"), Reading("columns", label="job"))
    with pytest.raises(ValueError, match="has no column to learn from: all 1 are left out"):
        read_own(table(tmp_path / "one.csv", {"a": [1.0, 1.0]}), COLUMNS)
    np.save(tmp_path / "images.npy", np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match=r"for tables, x of shape \(n, columns\), but .* has \(3, 4, 4, 1\)"):
        read_own(str(tmp_path / "images.npy"), COLUMNS)


class Evil:
    """What a pickle would run."""

    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


@pytest.mark.parametrize(
    "name", ["a.npy", "a.npz", "a.csv", "a.tsv", "a.parquet", "images/a.png", "saved/data-0.arrow"]
)
@pytest.mark.parametrize("form", ["a pickle", "an array of objects"])
def test_nothing_that_is_loaded_runs_code(name: str, form: str, tmp_path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if form == "a pickle":
        path.write_bytes(pickle.dumps(Evil()))
    else:
        with path.open("wb") as file:
            save = np.savez if name.endswith(".npz") else np.save
            save(file, np.array([[Evil()]], object))
    if path.parent.name == "saved":
        pytest.importorskip("datasets")
        (path.parent / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}], "_split": "train"}')
        (path.parent / "dataset_info.json").write_text("{}")
    with pytest.raises(Exception, match=r".") as refused:
        read_own(str(path.parent if path.parent != tmp_path else path), Reading())
    assert not isinstance(refused.value, AssertionError)
    assert not Evil.ran


def test_a_split_is_in_one_place(tmp_path) -> None:
    table(tmp_path / "train.csv", {"a": [1.0, 2.0]})
    table(tmp_path / "val.csv", {"a": [1.0]})
    table(tmp_path / "validation.csv", {"a": [2.0]})
    with pytest.raises(ValueError, match=r"holds both val.csv and validation.csv for the validation split: keep one"):
        read_own(str(tmp_path), Reading("reals"))
    (tmp_path / "validation.csv").unlink()
    (tmp_path / "train.csv").unlink()
    np.savez(tmp_path / "train.npz", x=np.ones((3, 2)), x_val=np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"train.npz holds the splits train, validation, but in a folder"):
        read_own(str(tmp_path), Reading("reals"))


def test_a_column_of_strings_is_one_in_every_file(tmp_path) -> None:
    """A file with nothing but 00501, true or 1000001 in it looks like numbers."""
    words = {"zip": ["00501", "94105", "none"], "well": ["true", "false", "unknown"], "code": ["1000001", "7", "x"]}
    rows = {name: (values * 20)[:40] for name, values in words.items()} | {"size": [0.3 * i for i in range(40)]}
    known = read_own(table(tmp_path / "t.csv", rows), COLUMNS).columns
    assert known is not None
    few = {name: [word for word in words[name] if word not in ("none", "unknown", "x")] for name in words}
    (tmp_path / "few.csv").write_text(
        "\n".join(map(",".join, [[*few, "size"], *zip(*few.values(), "12", strict=True)]))
    )
    found = read_like(str(tmp_path / "few.csv"), COLUMNS, known, None).splits["train"].x
    for j, (column, values) in enumerate(zip(known, [*few.values()], strict=False)):
        assert [column.values[int(number)] for number in found[:, j]] == values
    # The same of splits in files of their own.
    folder = tmp_path / "parts"
    folder.mkdir()
    shutil.copy(tmp_path / "t.csv", folder / "train.csv")
    shutil.copy(tmp_path / "few.csv", folder / "test.csv")
    parts = read_own(str(folder), COLUMNS)
    assert parts.columns == known
    np.testing.assert_array_equal(parts.splits["test"].x, found)


def test_one_word_among_numbers_is_a_gap_and_the_others_stay(tmp_path) -> None:
    rows = {"kind": [1, 2, 3] * 20, "size": [0.5 * i for i in range(60)]}
    known = read_own(table(tmp_path / "t.csv", rows), COLUMNS._replace(columns=("kind=categories",))).columns
    (tmp_path / "new.csv").write_text("kind,size\n1,2.5\noops,3.5\n3,4.5\n")
    with pytest.warns(UserWarning, match="kind holds oops, which the model was not trained on"):
        found = read_like(str(tmp_path / "new.csv"), COLUMNS, known, None).splits["train"].x
    np.testing.assert_array_equal(found[:, 0], [0.0, np.nan, 2.0])


@pytest.mark.parametrize("value", [-1, -7, 2.5])
def test_no_other_number_is_a_count_of_another_file(value: float, tmp_path) -> None:
    rows = {"visits": [0, 1, 2, 5] * 10, "size": [0.5 * i for i in range(40)]}
    known = read_own(table(tmp_path / "t.csv", rows), COLUMNS).columns
    new = table(tmp_path / "new.csv", {"visits": [1, value], "size": [1.0, 2.0]})
    with pytest.raises(ValueError, match="visits is a count to the model, whole and never negative, but holds other"):
        read_like(new, COLUMNS, known, None)


def test_labels_of_two_files_are_the_same_classes(tmp_path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "train.csv").write_text("a,label\n" + "0.5,1\n1.5,2\n2.5,x\n" * 5)
    (folder / "test.csv").write_text("a,label\n0.5,1\n1.5,2\n")
    data = load(str(folder), Reading("reals"))
    assert data.classes == ("1", "2", "x")
    assert sorted(data.test.label) == [0, 1]
    alone = whole_like(str(folder / "test.csv"), data, Reading("reals"))
    assert alone.classes == data.classes
    assert alone.train.label.tolist() == [0, 1]
    # A column of gaps says nothing of the class.
    (folder / "test.csv").write_text("a,label\n0.5,\n1.5,\n")
    assert load(str(folder), Reading("reals")).test.label.tolist() == [-1, -1]


def test_a_label_of_another_table_is_kept_where_there_is_one(tmp_path) -> None:
    reading = Reading("reals", label="kind")
    rows = {"a": [0.5 * i for i in range(40)], "label": [1.5 * i for i in range(40)], "kind": ["x", "y"] * 20}
    data = load(table(tmp_path / "t.csv", rows), reading)
    assert data.names == ("a", "label")
    with_label = whole_like(table(tmp_path / "new.csv", {n: v[:3] for n, v in rows.items()}), data, reading)
    assert with_label.train.label.tolist() == [0, 1, 0]
    del rows["kind"]
    without = whole_like(table(tmp_path / "other.csv", {n: v[:3] for n, v in rows.items()}), data, reading)
    assert without.train.label is None
    np.testing.assert_array_equal(without.train.x, with_label.train.x)


def test_a_column_that_says_the_split_must_leave_something_to_learn_from(tmp_path) -> None:
    name = table(tmp_path / "t.csv", {"x": [1.5, 2.5], "split": ["test", "val"]})
    with pytest.raises(ValueError, match="no row of the column split says train"):
        read_own(name, Reading())


def test_names_of_classes_stand_beside_columns_of_arrays(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(30, 2)), label=np.array(["a", "b", "c"] * 10))
    found = read_own(str(tmp_path / "x.npz"), COLUMNS._replace(label="x1")).columns
    assert found is not None
    assert [(column.name, column.values) for column in found] == [("x0", ()), ("label", ("a", "b", "c"))]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_word_for_a_gap_is_one_in_a_file_with_types_too(ending: str, tmp_path) -> None:
    words = ["f", "?", "NA", "NaN", "NULL", "", "m", None]
    rows = {"sex": words, "size": [float(i) + 0.5 for i in range(8)], "label": ["a", "?", "b", "a", "b", "a", "b", ""]}
    for folder in (tmp_path / "one", tmp_path / "parts"):
        folder.mkdir()
    name = table(tmp_path / "one" / f"t{ending}", rows)
    table(tmp_path / "parts" / f"train{ending}", rows)
    for source in (name, str(tmp_path / "parts")):
        found = read_own(source, COLUMNS)
        assert [column.values for column in found.columns or ()] == [("f", "m"), ()]
        np.testing.assert_array_equal(found.splits["train"].x[:, 0], [0, *[np.nan] * 5, 1, np.nan])
        assert found.splits["train"].label.tolist() == ["a", "", "b", "a", "b", "a", "b", ""]
        np.testing.assert_array_equal(
            read_like(source, COLUMNS, found.columns, None).splits["train"].x, found.splits["train"].x
        )
        cells = read_all_cells(source, COLUMNS, found.columns or ())
        assert cells["sex"].values == ["f", None, None, None, None, None, "m", None]
        assert cells["sex"].filled(["m"] * 8) == ["f", *["m"] * 7]
