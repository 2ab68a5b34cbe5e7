import numpy as np
import pytest

from vae_jax.data.columns import column_of, families_of, numbers, observed, proposal, raw_values, unknown_values

NAN = np.nan


def strings(*values):
    return np.array(values, object)


@pytest.mark.parametrize(
    ("values", "family"),
    [
        (strings("f", "m", None, "f"), "bits"),
        (strings(True, False, None, True), "bits"),
        (strings("a", "b", "c", "a"), "categories"),
        (strings(*[f"name {i}" for i in range(40)]), "skip"),
        (strings(None, None), "skip"),
        (np.array([0.0, 1.0, NAN, 1.0]), "bits"),
        (np.array([0.0, 3.0, 17.0, NAN]), "counts"),
        (np.array([1990.0, 2003.0, 2011.0]), "reals"),
        (np.array([-3.0, 4.0, 2.0]), "reals"),
        (np.array([0.5, 2.0, NAN]), "reals"),
        (np.array([7.0, 7.0, NAN]), "skip"),
        (np.full(3, NAN), "skip"),
        (np.arange(1.0, 41.0), "skip"),
    ],
)
def test_a_column_is_taken_for_what_its_values_look_like(values: np.ndarray, family: str) -> None:
    found = proposal(values)
    assert found.family == family
    assert found.reason
    if family != "skip":
        column = column_of("c", values, family)
        x = numbers([column], {"c": values})
        assert x.dtype == np.float32
        # There and back again.
        back = raw_values(column, x[:, 0])
        expected = [None if v is None or v != v else v for v in values.tolist()]
        assert back == expected
        assert np.isnan(x).sum() == len(values) - len(observed(values))


def test_numbers_of_choices_are_in_their_order_and_unknown_ones_are_gaps() -> None:
    column = column_of("c", np.array([10.0, 2.0, 10.0, NAN]), "categories")
    assert column.values == (2.0, 10.0)
    table = {"c": np.array([10.0, 3.0])}
    np.testing.assert_array_equal(numbers([column], table), [[1.0], [NAN]])
    assert unknown_values([column], table) == {"c": [3.0]}
    # A file that holds the numbers among them looks like one of numbers.
    mixed = {"c": column_of("c", strings("a", "1", "2"), "categories")}["c"]
    np.testing.assert_array_equal(numbers([mixed], {"c": np.array([2.0, NAN])}), [[1.0], [NAN]])
    assert unknown_values([mixed], {"c": np.array([2.0, 7.0])}) == {"c": ["7"]}


@pytest.mark.parametrize(
    ("values", "family", "message"),
    [
        (np.array([1.0, 2.0]), "ordinal", "a family is one of reals, counts, bits, categories, or skip"),
        (np.array([1.0, 2.0, 3.0]), "bits", "3 different values. Use c=categories"),
        (strings("a", "b"), "reals", "holds 'a', which is no number. Use c=categories"),
        (np.array([0.5, 2.0]), "counts", "whole and never negative. Use c=reals"),
        (np.arange(2000.0), "categories", "knows 1000 at most. Leave it out: --columns c=skip"),
    ],
)
def test_a_family_that_does_not_fit_is_refused(values: np.ndarray, family: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        column_of("c", values, family)


def test_pairs_name_columns_that_are_there() -> None:
    assert families_of(["a=b=reals"], ["a=b"]) == {"a=b": "reals"}
    for wrong in ("age", "sex=bits"):
        with pytest.raises(ValueError, match="NAME=FAMILY of the columns age; got"):
            families_of([wrong], ["age"])


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false"), ("TRUE", "FALSE")])
def test_one_word_among_booleans_is_a_gap_and_the_others_stay(words: tuple[str, str]) -> None:
    column = column_of("flag", np.array([True, False, True], object), "bits")
    found = numbers([column], {"flag": np.array([words[0], "maybe", words[1]], object)})
    np.testing.assert_array_equal(found[:, 0], [1.0, np.nan, 0.0])


def test_gaps_are_no_unknown_values() -> None:
    column = column_of("ill", np.array([0.0, 1.0, np.nan]), "bits")
    assert unknown_values([column], {"ill": np.array([1.0, np.nan, 0.0])}) == {}


def test_each_pair_of_a_wide_table_is_looked_up_once() -> None:
    compared = []

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            compared.append(1)
            return str(self) == other

    names = [f"c{j}" for j in range(300)]
    found = families_of([f"{name}=reals" for name in names], [Name(name) for name in names])
    assert found == dict.fromkeys(names, "reals")
    assert len(compared) < 3 * len(names)
