import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vae_jax.languages.grammar import (
    Grammar,
    GrammarError,
    NotInLanguageError,
    Rule,
    characters,
    check_ambiguity,
    checked_grammar,
    load_grammar,
    read_grammar,
)

TINY = 'start: "a" start start | "b" | other\nother: "c" | "d" other'
LANGUAGES: dict[str, Any] = {
    "equations": "equation2_15.txt.gz",
    "smiles": "zinc250k.smi.gz",
    "smiles_zinc": "zinc250k.smi.gz",
}


@pytest.mark.parametrize("name", LANGUAGES)
def test_unparse_undoes_parse_on_published_strings(name: str, shared_data: Callable[[str], Path]) -> None:
    with gzip.open(shared_data(LANGUAGES[name]), "rt") as file:
        strings = [line.strip().replace(" ", "") for line in file][:1000]
    grammar = load_grammar(name)
    assert [grammar.unparse(grammar.parse(string)) for string in strings] == strings


@pytest.mark.parametrize("name", LANGUAGES)
def test_parse_undoes_unparse_on_random_derivations(name: str) -> None:
    grammar, random = load_grammar(name), np.random.default_rng(0)
    for most in range(grammar.tables.least, 60):
        numbers = grammar.random(random, most)
        assert len(numbers) <= most
        assert grammar.parse(grammar.unparse(numbers)) == numbers


def test_a_sequence_is_the_leftmost_derivation() -> None:
    grammar = load_grammar("equations")
    rules = [str(grammar.rules[number]) for number in grammar.parse("x+sin(1)")]
    assert rules == [
        'start: start "+" term',
        "start: term",
        'term: "x"',
        'term: "sin(" start ")"',
        "start: term",
        'term: "1"',
    ]


def test_repetition_is_turned_into_plain_rules() -> None:
    grammar = read_grammar('start: word (" " word)*\nword: ("a" | "b")+')
    for string in ("a", "ab ba", "b b b"):
        assert grammar.unparse(grammar.parse(string)) == string
    assert not grammar.accepts("a  b")


def test_characters_are_a_language_of_one_nonterminal() -> None:
    grammar = characters(["b\\a", 'c["', "é"])
    assert grammar.nonterminals == ("start",)
    assert len(grammar.rules) == 8
    for string in ("", "aé\\", '["'):
        assert grammar.unparse(grammar.parse(string)) == string
    with pytest.raises(GrammarError, match="no character"):
        characters(["", ""])


def test_tables() -> None:
    tables = read_grammar(TINY).tables
    assert tables.least == 1
    assert tables.left.tolist() == [0, 0, 0, 1, 1, 2]
    assert tables.counts.tolist() == [2, 0, 1, 0, 1, 0]
    # start -> other takes a rule more than start -> "b"; d makes any derivation one longer.
    assert tables.extra.tolist() == [2, 0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('start: a | "x"\na: start', "start ⇒ … ⇒ start"),
        ('start: a start a | "x"\na: "y"?', "start ⇒ … ⇒ start"),
        ('start: "x" | a\na: a "y"', "a can never become a string"),
        ('start: "x"\nb: "y"', "nothing leads from start to b"),
        ("start: /[a-z]/", "is not a literal string"),
        ('start: "a"i', "is not a literal string"),
        ('start: "a" b', "'b' used but not defined"),
        ('x: "y"', "cannot be read"),
        ("", "cannot be read"),
        ('start: "a" "b"\n%ignore " "', "%ignore would lose"),
    ],
)
def test_bad_grammars(text: str, message: str) -> None:
    with pytest.raises(GrammarError, match=message):
        read_grammar(text)


@pytest.mark.parametrize(
    ("string", "message"),
    [
        ("x+", "column 3: it ends too early"),
        ("", "column 1: it ends too early"),
        ("x++1", r"column 3: unexpected '\+1'"),
        ("x+y", "column 3: unexpected 'y'"),
        ("sin(x", "column 6: it ends too early"),
    ],
)
def test_strings_outside_the_language(string: str, message: str) -> None:
    grammar = load_grammar("equations")
    with pytest.raises(NotInLanguageError, match=message):
        grammar.parse(string)
    assert not grammar.accepts(string)


def test_of_a_long_string_a_message_shows_the_beginning() -> None:
    grammar, string = load_grammar("equations"), "x" + "+x" * 500
    with pytest.raises(NotInLanguageError) as caught:
        grammar.parse(f"{string}y")
    assert str(caught.value) == f"column 1002: unexpected 'y', in '{string[:100]}…'"


def test_ambiguity_is_warned_of_with_a_witness() -> None:
    grammar = read_grammar('start: start "+" start | "x"')
    with pytest.warns(UserWarning, match=r"ambiguous: '[x+]+' has more than one derivation"):
        check_ambiguity(grammar)
    # Still one derivation, and the string comes back.
    assert grammar.unparse(grammar.parse("x+x+x")) == "x+x+x"


@pytest.mark.parametrize("name", LANGUAGES)
def test_what_ships_is_not_found_ambiguous(name: str) -> None:
    check_ambiguity(load_grammar(name))


def test_earley_where_the_longest_literal_is_the_wrong_one() -> None:
    grammar = read_grammar('start: "a" "aa" | "aa" "b" start')
    assert grammar.accepts("aaa")
    assert grammar.accepts("aabaaa")
    assert not grammar.accepts("aab")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [([4], "expected a rule of start"), ([0, 1], "expected a rule of start, got number 5"), ([1, 1], "has ended")],
)
def test_unparse_refuses_what_is_no_derivation(numbers: list[int], message: str) -> None:
    grammar: Grammar = read_grammar(TINY)
    with pytest.raises(ValueError, match=message):
        grammar.unparse(numbers)


def test_unknown_grammars_and_lengths(tmp_path: Path) -> None:
    with pytest.raises(
        GrammarError, match="no grammar 'smile': it must be equations, smiles, smiles_zinc, or the path"
    ):
        load_grammar("smile")
    (tmp_path / "mine.lark").write_text('start: "x" b')
    with pytest.raises(GrammarError, match=r"mine.lark: .*'b' used but not defined"):
        load_grammar(str(tmp_path / "mine.lark"))
    with pytest.raises(ValueError, match="the shortest derivation has 2 rules, so that 1 are too few"):
        load_grammar("equations").random(np.random.default_rng(0), 1)


def test_a_template_is_a_rule_where_it_is_used() -> None:
    grammar = read_grammar('start: _separated{"a", ","}\n_separated{x, s}: x (s x)*\n')
    assert grammar.unparse(grammar.parse("a,a,a")) == "a,a,a"


@pytest.mark.parametrize("character", ["\b", "\f", '"', "\\", "é"])
def test_any_character_may_be_a_literal(character: str) -> None:
    grammar = checked_grammar([Rule("start", ((character, True), ("x", True)))])
    assert grammar.unparse(grammar.parse(character + "x")) == character + "x"
