"""Context-free grammars: strings to sequences of production rules and back.

A grammar is text in the notation of Lark, whose rules hold literals and other rules, and begin at `start`:

    start: start "+" term | term
    term: "(" start ")" | "x"

A string's sequence is its leftmost derivation: the numbers of the rules in the order in which a parser that expands the
first open nonterminal would use them.

Source: Grammar Variational Autoencoder, arXiv 1703.01925.
"""

import functools
import json
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import lark
import numpy as np
from lark.load_grammar import GrammarBuilder

from vae_jax.core.text import read_text

# Derivations drawn to see whether a parser finds them again, and their longest.
_TRIALS, _TRIAL_RULES = 200, 60
# Characters of a string in a message.
_SHOWN = 100


class GrammarError(ValueError):
    """A grammar that cannot be used; the message says what to change."""


class NotInLanguageError(ValueError):
    """A string that the grammar does not derive; the message says from which column on."""


class Rule(NamedTuple):
    """`left -> right`: `right` is literals `(text, True)` and nonterminals `(name, False)`."""

    left: str
    right: tuple[tuple[str, bool], ...]

    def __str__(self) -> str:
        right = " ".join(
            json.dumps(symbol, ensure_ascii=False) if literal else symbol for symbol, literal in self.right
        )
        return f"{self.left}: {right}"

    @property
    def nonterminals(self) -> list[str]:
        """The nonterminals of the right side, in order."""
        return [symbol for symbol, literal in self.right if not literal]


class Tables(NamedTuple):
    """A grammar as arrays over its R rules and, last, the number R that fills a sequence after its derivation.

    `left` `[R + 1]`: the nonterminal that a rule expands; that of R is the number of nonterminals: none is open.
    `pushes` `[R + 1, W]`: nonterminals of the right side, the first last, then −1. `counts` `[R + 1]`: their number.
    `extra` `[R + 1]`: by how many rules a derivation grows when this one is used in the place of the shortest.
    `least`: rules of the shortest derivation.
    """

    left: np.ndarray
    pushes: np.ndarray
    counts: np.ndarray
    extra: np.ndarray
    least: int


@dataclass(frozen=True)
class Grammar:
    """Rules by their number; the left side of the first is where every derivation starts. Made by `read_grammar`."""

    rules: tuple[Rule, ...]

    @functools.cached_property
    def nonterminals(self) -> tuple[str, ...]:
        """Names, the start first."""
        return tuple(dict.fromkeys(rule.left for rule in self.rules))

    @property
    def end(self) -> int:
        """The number that fills a sequence after its derivation: the number of rules."""
        return len(self.rules)

    @functools.cached_property
    def tables(self) -> Tables:
        """The grammar as arrays."""
        number = {name: i for i, name in enumerate(self.nonterminals)}
        steps = _shortest(self.rules)
        rights = [[number[name] for name in rule.nonterminals][::-1] for rule in self.rules] + [[]]
        width = max(1, *map(len, rights))
        extra = [1 + sum(steps[name] for name in rule.nonterminals) - steps[rule.left] for rule in self.rules]
        return Tables(
            left=np.array([number[rule.left] for rule in self.rules] + [len(number)], np.int32),
            pushes=np.array([right + [-1] * (width - len(right)) for right in rights], np.int32),
            counts=np.array([len(right) for right in rights], np.int32),
            extra=np.array([int(one) for one in extra] + [0], np.int32),
            least=int(steps[self.nonterminals[0]]),
        )

    def parse(self, string: str) -> list[int]:
        """The rules of the string's leftmost derivation. NotInLanguageError, with the column, where there is none."""
        return self._parser.parse(string)

    def accepts(self, string: str) -> bool:
        """Whether the string is in the language."""
        try:
            self.parse(string)
        except NotInLanguageError:
            return False
        return True

    def unparse(self, numbers: Iterable[int]) -> str:
        """The string of a derivation. ValueError where `numbers` is not one, or ends before it does."""
        output: list[str] = []
        left = [(self.nonterminals[0], False)]
        rest = iter(numbers)
        while left:
            symbol, literal = left.pop()
            if literal:
                output.append(symbol)
                continue
            number = int(next(rest, self.end))
            if not 0 <= number < self.end or self.rules[number].left != symbol:
                given = str(self.rules[number]) if 0 <= number < self.end else f"number {number}"
                raise ValueError(f"Grammar.unparse: expected a rule of {symbol}, got {given}.")
            left.extend(reversed(self.rules[number].right))
        if any(int(number) != self.end for number in rest):
            raise ValueError(f"Grammar.unparse: the derivation has ended, so that only {self.end} may follow.")
        return "".join(output)

    def random(self, random: np.random.Generator, most: int) -> list[int]:
        """A derivation of at most `most` rules, each drawn evenly from those that leave room to end."""
        tables = self.tables
        _check_length("Grammar.random", tables, most)
        stack, slack, numbers = [0], most - tables.least, list[int]()
        while stack:
            fits = [number for number, extra in self._extras[stack.pop()] if extra <= slack]
            number = fits[int(random.integers(len(fits)))]
            numbers.append(number)
            slack -= int(tables.extra[number])
            stack.extend(tables.pushes[number, : tables.counts[number]].tolist())
        return numbers

    @functools.cached_property
    def _extras(self) -> list[list[tuple[int, int]]]:
        """The rules of each nonterminal, and by how much each makes a derivation longer."""
        left, extra = self.tables.left, self.tables.extra
        return [[(int(r), int(extra[r])) for r in np.flatnonzero(left == n)] for n in range(len(self.nonterminals))]

    @functools.cached_property
    def _parser(self) -> "_Parser":
        return _fitting_parser(self)


def read_grammar(text: str) -> Grammar:
    """The grammar of a text in Lark's notation (`a?`, `a*`, `a+` and `a | b` are turned into plain rules).

    GrammarError for what Lark cannot read, terminals that are not literal strings, and rules that are cyclic
    (A ⇒⁺ A), derive no string or are never reached.
    """
    try:
        builder = GrammarBuilder()
        builder.load_grammar(text)
        # A template is no rule until it is used, and then under another name.
        written = [str(name) for name, parameters, *_ in builder.build().rule_defs if not parameters]
        read = lark.Lark(text, parser="earley", keep_all_tokens=True, maybe_placeholders=False)
    except (lark.exceptions.LarkError, AssertionError) as error:
        raise GrammarError(f"this grammar cannot be read: {error}") from error
    if read.ignore_tokens:
        raise GrammarError(
            "%ignore would lose what is ignored: write it into the rules, or take it out of the strings."
        )
    literals = {terminal.name: _literal(terminal) for terminal in read.terminals}
    rules = [
        Rule(
            str(rule.origin.name),
            tuple((literals[s.name], True) if s.is_term else (str(s.name), False) for s in rule.expansion),
        )
        for rule in read.rules
    ]
    return checked_grammar(rules, written)


def checked_grammar(rules: Sequence[Rule], names: Sequence[str] = ()) -> Grammar:
    """The grammar of these rules, that of `start` first; `names` must be among them. GrammarError as `read_grammar`."""
    rules = sorted(rules, key=lambda rule: rule.left != "start")
    reached = _reached(rules)
    if lost := [name for name in dict.fromkeys([*names, *(rule.left for rule in rules)]) if name not in reached]:
        raise GrammarError(f"nothing leads from start to {', '.join(lost)}: remove these rules, or use them.")
    steps = _shortest(rules)
    if endless := [name for name in steps if steps[name] == np.inf]:
        raise GrammarError(f"{', '.join(endless)} can never become a string: every rule of it leads back to itself.")
    if (cycle := _cycle(rules)) is not None:
        raise GrammarError(f"{cycle} ⇒ … ⇒ {cycle}: a string of it would have endlessly many derivations.")
    return Grammar(tuple(dict.fromkeys(rules)))


def load_grammar(name: str) -> Grammar:
    """A grammar that ships ("equations", "smiles", "smiles_zinc"), or that of a `.lark` file.

    GrammarError if there is none, or it cannot be read; ValueError where the file is no text in UTF-8.
    """
    folder = Path(__file__).parent / "grammars"
    path = Path(name) if name.endswith(".lark") else folder / f"{name}.lark"
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in folder.glob("*.lark")))
        raise GrammarError(f"no grammar {name!r}: it must be {shipped}, or the path of a .lark file.")
    try:
        return read_grammar(read_text(path))
    except GrammarError as error:
        raise GrammarError(f"{path}: {error}") from error


def characters(strings: Iterable[str]) -> Grammar:
    """The grammar of all strings over the characters of `strings`. With it a model writes character by character."""
    alphabet = sorted(set().union(*strings))
    if not alphabet:
        raise GrammarError("there is no character in these strings.")
    return checked_grammar([Rule("start", ()), *(Rule("start", ((c, True), ("start", False))) for c in alphabet)])


def check_ambiguity(grammar: Grammar) -> None:
    """UserWarning where a string of the grammar is known to have two derivations, with the string.

    Two hundred random derivations are tried. No warning is no proof: for context-free grammars there is none.
    """
    example = _unlike(grammar, grammar._parser)
    if example is not None:
        warnings.warn(
            f"the grammar is ambiguous: {example!r} has more than one derivation. The model gives each a probability, "
            "and log p(x) is then that of one derivation, a lower bound.",
            stacklevel=2,
        )


def _check_length(where: str, tables: Tables, length: int) -> None:
    if length < tables.least:
        raise ValueError(f"{where}: the shortest derivation has {tables.least} rules, so that {length} are too few.")


def _literal(terminal: Any) -> str:
    pattern = terminal.pattern
    if pattern.type != "str" or pattern.flags:
        raise GrammarError(
            f"the terminal {terminal.name} ({pattern}) is not a literal string. Write out what it can be, as rules: "
            'digit: "0" | "1" | "2".'
        )
    return pattern.value


def _reached(rules: Sequence[Rule]) -> set[str]:
    reached, fresh = set[str](), {"start"}
    while fresh:
        reached |= fresh
        fresh = {name for rule in rules if rule.left in fresh for name in rule.nonterminals} - reached
    return reached


def _shortest(rules: Sequence[Rule]) -> dict[str, float]:
    """Rules of the shortest derivation of each nonterminal; infinite where it derives no string."""
    steps = dict.fromkeys((rule.left for rule in rules), np.inf)
    changed = True
    while changed:
        changed = False
        for rule in rules:
            least = 1 + sum(steps[name] for name in rule.nonterminals)
            if least < steps[rule.left]:
                steps[rule.left], changed = least, True
    return steps


def _cycle(rules: Sequence[Rule]) -> str | None:
    """A nonterminal that derives itself alone, or None."""
    nullable = set[str]()
    grown = -1
    while len(nullable) > grown:
        grown = len(nullable)
        nullable |= {rule.left for rule in rules if all(not lit and symbol in nullable for symbol, lit in rule.right)}
    alone: dict[str, set[str]] = {rule.left: set() for rule in rules}
    for rule in rules:
        for i, (symbol, literal) in enumerate(rule.right):
            others = rule.right[:i] + rule.right[i + 1 :]
            if not literal and all(not lit and other in nullable for other, lit in others):
                alone[rule.left].add(symbol)
    for name in alone:
        seen, fresh = set[str](), set(alone[name])
        while fresh:
            seen |= fresh
            fresh = {other for other_name in fresh for other in alone[other_name]} - seen
        if name in seen:
            return name
    return None


def _escaped(character: str) -> str:
    """A character as Lark reads it in quotes: as JSON has it, but for the backspace."""
    return "\\u0008" if character == "\b" else json.dumps(character, ensure_ascii=False)[1:-1]


class _Parser:
    """Lark's, of a grammar in which every rule carries its number."""

    def __init__(self, grammar: Grammar, **options: Any) -> None:
        number = {name: f"n{i}" for i, name in enumerate(grammar.nonterminals)}
        literals = sorted({symbol for rule in grammar.rules for symbol, literal in rule.right if literal and symbol})
        terminal = {literal: f"T{i}" for i, literal in enumerate(literals)}
        lines = [f'{name}: "{"".join(map(_escaped, literal))}"' for literal, name in terminal.items()]
        alternatives: dict[str, list[str]] = {short: [] for short in number.values()}
        for i, rule in enumerate(grammar.rules):
            right = " ".join(terminal[symbol] if literal else number[symbol] for symbol, literal in rule.right)
            alternatives[number[rule.left]].append(f"{right} -> r{i}")
        lines += [f"{short}: {' | '.join(some)}" for short, some in alternatives.items()]
        self.lark = lark.Lark("\n".join(lines), start="n0", maybe_placeholders=False, **options)

    def parse(self, string: str) -> list[int]:
        try:
            tree = self.lark.parse(string)
        except lark.exceptions.UnexpectedInput as error:
            # Lark gives the column of the last symbol where nothing follows it.
            ended = getattr(getattr(error, "token", None), "type", "$END") == "$END" and not hasattr(error, "char")
            column = len(string) + 1 if ended else error.column
            what = "it ends too early" if ended else f"unexpected {string[column - 1 : column + 9]!r}"
            shown = string if len(string) <= _SHOWN else f"{string[:_SHOWN]}…"
            raise NotInLanguageError(f"column {column}: {what}, in {shown!r}") from error
        numbers, stack = list[int](), [tree]
        while stack:
            node = stack.pop()
            numbers.append(int(node.data[1:]))
            stack.extend(child for child in reversed(node.children) if isinstance(child, lark.Tree))
        return numbers


def _fitting_parser(grammar: Grammar) -> _Parser:
    """LALR where it finds all of some derivations again, and Earley's otherwise."""
    try:
        fast = _Parser(grammar, parser="lalr", strict=True)
    except lark.exceptions.GrammarError:
        fast = None
    if fast is not None and _unlike(grammar, fast) is None:
        return fast
    return _Parser(grammar, parser="earley", lexer="dynamic_complete", ambiguity="resolve")


def _unlike(grammar: Grammar, parser: _Parser) -> str | None:
    """A string whose derivation the parser does not find again, or None."""
    random = np.random.default_rng(0)
    most = grammar.tables.least + _TRIAL_RULES
    for trial in range(_TRIALS):
        numbers = grammar.random(random, grammar.tables.least + trial * (most - grammar.tables.least) // _TRIALS)
        string = grammar.unparse(numbers)
        try:
            if parser.parse(string) != numbers:
                return string
        except NotInLanguageError:
            return string
    return None
