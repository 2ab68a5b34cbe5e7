import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.runs import read_cells
from vae_jax.data.table import (
    Cells,
    cells_like,
    joined_cells,
    read_columns,
    read_table,
    table_of,
    write_table,
    write_texts,
)

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


def test_cells_are_given_back_as_they_stand(tmp_path) -> None:
    """No long number is rounded, no leading zero lost, and a day stays a day."""
    text = "id,zip,day,size\n1234567890123456789,00501,2020-01-02,1.5\n1234567890123456796,02134,2020-01-03,\n"
    (tmp_path / "t.csv").write_text(text)
    cells = read_cells(tmp_path / "t.csv")
    assert cells["id"] == [1234567890123456789, 1234567890123456796]
    assert cells["zip"] == ["00501", "02134"]
    assert cells["size"] == [1.5, None]
    write_table(tmp_path / "again.csv", cells)
    assert (tmp_path / "again.csv").read_text().replace('"', "") == text
    write_table(tmp_path / "t.parquet", cells)
    assert read_cells(tmp_path / "t.parquet") == cells


@pytest.mark.parametrize(
    ("written", "fill", "filled"),
    [
        (["89492026171000000001", "89492026171000000002"], 9e19, "90000000000000000000"),
        (["0.12345678901234567890123", "1.50", "2.00"], 1.25, "1.25"),
        (["0.5", "1.50"], 1.5, "1.50"),
        (["1e3", "2.5"], 7.0, "7"),
        (["1e30", "2e30"], 1.5e30, "1.5e+30"),
        (["+5", "00501"], 6.5, "6.5"),
        (["0x1F", "07"], 7.0, "07"),
        (["TRUE", "FALSE", "TRUE"], False, "FALSE"),
        (["TRUE"], False, "FALSE"),
        (["true"], False, "false"),
        (["True"], False, "False"),
        (["10:00", "11:30"], 45000.5, "12:30"),
        (["10:00:00", "11:30:59"], 45000.5, "12:30:00"),
        (["2024-01-05 10:00", "2024-01-06 11:30"], 86400.5, "1970-01-02 00:00"),
        (["2024-01-05T10:00:00", "2024-01-06T11:30:00"], 86400.5, "1970-01-02T00:00:00"),
        (["2024-01-05T10:00:00Z", "2024-01-06T11:30:00Z"], 86400.5, "1970-01-02T00:00:00Z"),
        (["2024-01-05 10:00:00.250", "2024-01-06 11:30:00.5"], 86400.5, "1970-01-02 00:00:00.500"),
        (["2024-01-05", "2024-01-06 11:30"], 86400.5, "1970-01-02 00:00"),
        (["2024-01-05", "2024-01-06"], 86400.5, "1970-01-02"),
        (["a, b", "c\nd", 'an "e"', " f "], "c\nd", "c\nd"),
    ],
)
def test_known_cells_of_a_text_keep_their_text(written: list[str], fill, filled: str, tmp_path) -> None:
    """And what fills a gap has their form. A column that no model knows keeps the word for its gap too."""
    quoted = ['"' + word.replace('"', '""') + '"' for word in (*written, "NA")]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *(f"{word},?" for word in quoted)]) + "\n")
    columns = read_columns(tmp_path / "t.csv")
    assert columns["a"].values[-1] is None
    full = columns["a"].filled([fill] * len(quoted), as_text=True)
    assert full == [*written, filled]
    write_texts(tmp_path / "full.csv", {"a": full, "b": columns["b"].known(as_text=True)})
    assert read_columns(tmp_path / "full.csv")["a"].texts == full
    assert read_columns(tmp_path / "full.csv")["b"].texts == ["?"] * len(full)


def test_long_numbers_of_a_text_stay_two_in_a_file_with_types(tmp_path) -> None:
    words = ["89492026171000000001", "89492026171000000002"]
    (tmp_path / "t.csv").write_text("id\n" + "\n".join(words))
    write_table(tmp_path / "t.parquet", read_cells(tmp_path / "t.csv"))
    assert read_cells(tmp_path / "t.parquet")["id"] == words


def test_words_in_one_file_and_numbers_in_another_are_one_column() -> None:
    joined = joined_cells([Cells(["x"], ["x"]), Cells([5, None], ["5", ""])])
    assert joined.known() == ["x", "5", None]
    assert joined_cells([Cells([5], ["05"]), Cells(["x", None])]).known() == ["05", "x", None]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (["12:30:00", "00:00:01"], [45000.0, 1.0]),
        (["2020-01-01 12:30:00.250", "1970-01-01 00:00:00.500"], [1577881800.25, 0.5]),
        (["2020-01-01", "1970-01-02"], [1577836800.0, 86400.0]),
    ],
)
def test_times_are_seconds(written: list[str], seconds: list[float], tmp_path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["t,x", *(f"{word},1" for word in written)]))
    np.testing.assert_allclose(read_table(tmp_path / "t.csv").columns["t"], seconds, rtol=0, atol=1e-6)


def test_spans_are_seconds(tmp_path) -> None:
    pq.write_table(pa.table({"t": pa.array([1_500_000, None], pa.duration("us"))}), tmp_path / "t.parquet")
    np.testing.assert_array_equal(read_table(tmp_path / "t.parquet").columns["t"], [1.5, np.nan])


def test_the_delimiter_is_none_of_a_quoted_name_or_of_another_ending(tmp_path) -> None:
    (tmp_path / "t.tsv").write_text("height, cm\tweight, kg, x\n1.5\t2.5\n")
    assert list(read_table(tmp_path / "t.tsv").columns) == ["height, cm", "weight, kg, x"]
    (tmp_path / "t.csv").write_text('"a, x, y";"b, y"\n1.5;2.5\n')
    assert list(read_table(tmp_path / "t.csv").columns) == ["a, x, y", "b, y"]


def test_names_that_are_not_in_utf_8_are_said_with_what_to_do(tmp_path) -> None:
    (tmp_path / "t.csv").write_bytes("größe,b\n1,2\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"t.csv is not written in UTF-8. Convert it: iconv -f latin1 -t utf-8"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("known", "value", "expected"),
    [
        ([None, 3], 7.0, 7),
        ([3], 7.5, 7.5),
        ([2**60], 1.5e18, 1_500_000_000_000_000_000),
        ([1.5], 7.0, 7.0),
        (["01", "02"], 7.0, "7"),
        (["a"], "b", "b"),
        ([True], False, False),
        ([Decimal("1.50")], 2.25, Decimal("2.25")),
        ([datetime.date(2020, 1, 1)], 86400.0 * 366, datetime.date(1971, 1, 2)),
        ([datetime.datetime(2020, 1, 1)], 86400.5, datetime.datetime(1970, 1, 2, 0, 0, 0, 500000)),
        ([datetime.time(1, 2)], 45000.0, datetime.time(12, 30)),
        ([datetime.timedelta(1)], 90.0, datetime.timedelta(seconds=90)),
        ([None], 7.0, 7.0),
    ],
)
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_what_fills_a_gap_is_of_the_type_of_its_column(known: list, value, expected, ending: str, tmp_path) -> None:
    (found,) = cells_like([value], known)
    assert found == expected
    assert type(found) is type(expected)
    # A column of both can be written.
    write_table(tmp_path / f"t{ending}", {"a": [*known, found], "b": [1] * (len(known) + 1)})
    assert len(read_cells(tmp_path / f"t{ending}")["a"]) == len(known) + 1


def test_nan_of_parquet_is_a_gap(tmp_path) -> None:
    pq.write_table(pa.table({"x": pa.array([1.5, float("nan"), None])}), tmp_path / "t.parquet")
    assert read_cells(tmp_path / "t.parquet") == {"x": [1.5, None, None]}
    np.testing.assert_array_equal(read_table(tmp_path / "t.parquet").columns["x"], [1.5, np.nan, np.nan])


def test_nanoseconds_are_cut_to_what_python_knows(tmp_path) -> None:
    pq.write_table(pa.table({"t": pa.array([1_500_000_001], pa.timestamp("ns"))}), tmp_path / "t.parquet")
    assert read_cells(tmp_path / "t.parquet")["t"] == [datetime.datetime(1970, 1, 1, 0, 0, 1, 500000)]


def test_numbers_of_parquet_may_be_read_as_strings(tmp_path) -> None:
    columns = {"a": pa.array([Decimal("1.00"), None], pa.decimal128(5, 2)), "b": pa.array([True, False])}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet", ["a", "b"]).columns
    assert read["a"].tolist() == ["1", None]
    assert read["b"].tolist() == ["true", "false"]
