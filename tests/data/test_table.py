import numpy as np
import pyarrow as pa
import pytest

from vae_jax.data.table import read_table, table_of, write_table

TEXT = "age,sex,born,ill\n1,f,2020-01-02,true\n,NA,,false\n2.5,m,1970-01-01,\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_text_is_read_with_its_gaps(tmp_path, delimiter: str) -> None:
    path = tmp_path / "a ü b.csv"
    path.write_text(TEXT.replace(",", delimiter), encoding="utf-8")
    columns = read_table(path).columns
    np.testing.assert_array_equal(columns["age"], [1.0, np.nan, 2.5])
    assert columns["sex"].tolist() == ["f", None, "m"]
    np.testing.assert_array_equal(columns["born"], [1577923200.0, np.nan, 0.0])
    assert columns["ill"].tolist() == [True, False, None]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_written_is_read_again(tmp_path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    write_table(path, {"a": [1, None, 3], "b": ["x", None, "ü"], "c": [0.1, 2.5, None], "d": [True, False, None]})
    found = read_table(path).columns
    np.testing.assert_array_equal(found["a"], [1.0, np.nan, 3.0])
    assert found["b"].tolist() == ["x", None, "ü"]
    np.testing.assert_array_equal(found["c"], [0.1, 2.5, np.nan])
    assert found["d"].tolist() == [True, False, None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n", "holds no rows"),
        (b"a,a\n1,2\n", "several columns of the name a"),
        ("a\né\n".encode("latin1"), "not written in UTF-8"),
        (b"a,b\n1,2\n3\n", "cannot be read as a table"),
    ],
)
def test_a_text_that_is_no_table_is_refused(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_table(path)
    path.with_suffix(".parquet").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a table"):
        read_table(path.with_suffix(".parquet"))
    with pytest.raises(FileNotFoundError, match="no data file"):
        read_table(tmp_path / "none.csv")


def test_columns_without_names_and_of_other_types_are_said(tmp_path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,2\n3,4\n")
    with pytest.warns(UserWarning, match="begins with numbers, 1, 2 …"):
        read_table(path)
    with pytest.raises(ValueError, match=r"the column a holds values of the type list"):
        table_of("t", pa.table({"a": [[1, 2], [3]]}))
    assert table_of("t", pa.table({"a": pa.array(["x", None]).dictionary_encode()})).columns["a"].tolist() == [
        "x",
        None,
    ]
