"""Strings as data: lines of a file, each as the derivation that a grammar gives it."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from vae_jax.core.text import read_lines
from vae_jax.data.cache import cache_file, kept_arrays, kept_lines
from vae_jax.data.dataset import Dataset, Split, split_rows
from vae_jax.languages.grammar import Grammar, NotInLanguageError, characters, check_ambiguity, load_grammar

# Files of these names are read from `data_dir`, as they were published. Of the molecules the first 5,000 are the test
# split of others.
_FILES = {"equations": "equation2_15.txt.gz", "zinc": "zinc250k.smi.gz"}
_TEST_LINES = {"zinc": 5000}
_ENDINGS = (".txt", ".smi", ".txt.gz", ".smi.gz")

# Equations that are made where there is no file: as many as were published, and as long.
_MADE, _MADE_RULES = 100_000, 14
_STAND_IN = 512

# A message names no more lines than these, so that it can still be read.
_LISTED = 100


class UnfitStringsError(ValueError):
    """Strings outside the language of a grammar, or too long.

    `complaint`: how many, and the first of them. `lines`: the numbers of all, from 1. `advice`: what to do, which
    depends on what they were read for; a caller who knows better raises `advising(…)`.
    """

    def __init__(self, complaint: str, lines: Sequence[int], advice: str) -> None:
        super().__init__(f"{complaint} {advice}")
        self.complaint, self.lines = complaint, lines

    def advising(self, advice: str) -> "UnfitStringsError":
        """The same complaint with other advice."""
        return UnfitStringsError(self.complaint, self.lines, advice)


def is_strings(name: str) -> bool:
    """Whether a dataset is one of strings, by its name."""
    return name in _FILES or name.endswith(_ENDINGS)


def load_strings(
    name: str,
    *,
    grammar: str,
    data_dir: str | Path | None = None,
    validation_size: int | None = None,
    most: int | None = None,
    skip: bool = False,
    seed: int = 0,
) -> Dataset:
    """Strings as derivations: uint8 numbers of rules `[n, T]`, `grammar.end` after the last.

    `name`: "equations" (of the file equation2_15.txt.gz in `data_dir`, or 100,000 made from the grammar without one),
    "zinc" (zinc250k.smi.gz in `data_dir`; its first 5,000 lines are the test split), or a file with a string on each
    line, of which a `.smi` file may say more after a space or a tab. A line ends at "\\n" or "\\r\\n", and the text is
    UTF-8. `grammar`: "equations", "smiles", "smiles_zinc", "characters" (any string over those of the data) or a
    `.lark` file. `most`: rules of the longest derivation, by default that of the data. `skip`: leave out what does not
    fit, and say how many. `validation_size` and `seed` as in `load`.

    FileNotFoundError without the file, ValueError where it is no text in UTF-8 or holds nothing, and of these
    UnfitStringsError where a string does not fit and `skip` is not set.

    Derivations are kept (`vae_jax.data.cache`), so that parsing is paid for once.
    """
    lines, rules = _lines(name, data_dir, grammar, seed)
    numbers, kept = derivations(name, rules, lines, most=most, skip=skip)
    is_test = kept < _TEST_LINES.get(name, 0)
    train = Split(numbers[~is_test], None)
    test_size = 0 if is_test.any() else max(2, len(train.x) // 5)
    if validation_size is None:
        validation_size = (len(train.x) - test_size) // 10
    train, validation, test = split_rows(train, (validation_size, test_size), seed)
    if is_test.any():
        test = Split(numbers[is_test], None)
    return _dataset(name, rules, train, validation, test, seed)


def whole_strings(name: str, like: Dataset, *, data_dir: str | Path | None = None) -> Dataset:
    """All strings of a source, in its own order, as derivations of the grammar and of the length of `like`.

    ValueError where there are no strings, and of these UnfitStringsError where one is not in the language, or longer.
    """
    if like.grammar is None or not is_strings(name):
        raise ValueError(f"{name} does not hold strings: name equations, zinc, or a .txt or .smi file.")
    path = _found(name, data_dir)
    try:
        numbers, _ = derivations(name, like.grammar, _read_lines(name, path), most=like.shape[0])
    except UnfitStringsError as error:
        shown = ", ".join(map(str, error.lines[:_LISTED]))
        more = f" and {len(error.lines) - _LISTED} more" if len(error.lines) > _LISTED else ""
        raise error.advising(f"Name a copy of {path} without these: line {shown}{more}.") from None
    nothing = Split(numbers[:0], None)
    return _dataset(name, like.grammar, Split(numbers, None), nothing, nothing, like.seed)


def stand_in_strings(name: str, *, grammar: str, seed: int = 0) -> Dataset:
    """Random strings of the grammar in the place of a dataset, for `--quick`."""
    rules = load_grammar("equations") if grammar == "characters" else load_grammar(grammar)
    made = random_strings(rules, _STAND_IN, rules.tables.least + 20, seed)
    if grammar == "characters":
        rules = characters(made)
    numbers, _ = derivations(f"{name} (stand-in)", rules, made)
    parts = split_rows(Split(numbers, None), (_STAND_IN // 8, _STAND_IN // 8), seed)
    return _dataset(f"{name} (stand-in)", rules, *parts, seed)


def random_strings(grammar: Grammar, count: int, most: int, seed: int) -> list[str]:
    """Distinct strings of random derivations of at most `most` rules. ValueError where there are not so many."""
    random = np.random.default_rng(seed)
    strings: dict[str, None] = {}
    for _ in range(100 * count):
        strings[grammar.unparse(grammar.random(random, most))] = None
        if len(strings) == count:
            return list(strings)
    raise ValueError(f"the grammar has only {len(strings)} strings of at most {most} rules, not {count}.")


def derivations(
    name: str, grammar: Grammar, lines: Sequence[str], *, most: int | None = None, skip: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`(numbers [n, T], rows [n])`: the derivations of the lines that fit, and the numbers of these lines.

    UnfitStringsError, with the lines and the column of the first, where some are not in the language or have more than
    `most` rules, unless `skip`; ValueError where none are left.
    """
    if grammar.end > np.iinfo(np.uint8).max:
        raise ValueError(f"the grammar has {grammar.end} rules, and there must not be more than 255.")
    check_ambiguity(grammar)
    # The name tells the form: files of "derivations" held a row as long as the longest for every line.
    path = cache_file("flat_derivations", [*grammar.rules, "", *lines])
    kept = kept_arrays(path, lambda: _parsed(name, grammar, lines))
    numbers, lengths = kept["numbers"], kept["lengths"]
    longest = lengths.max(initial=0) if most is None else most
    unfit = (lengths == 0) | (lengths > longest)
    if unfit.any():
        complaint = _complaint(name, lengths, str(kept["failure"]), longest)
        if unfit.all():
            raise ValueError(f"{name} holds no string that fits its grammar: {complaint}")
        if not skip:
            unfit_lines = (np.flatnonzero(unfit) + 1).tolist()
            raise UnfitStringsError(complaint, unfit_lines, "With skip=True they are left out.")
        warnings.warn(f"{complaint} They were left out.", stacklevel=2)
    (rows,) = np.nonzero(~unfit)
    padded = np.full((len(rows), longest), grammar.end, np.uint8)
    padded[np.arange(longest) < lengths[rows, None]] = numbers[np.repeat(~unfit, lengths)]
    return padded, rows


def _dataset(name: str, grammar: Grammar, train: Split, validation: Split, test: Split, seed: int) -> Dataset:
    return Dataset(
        name,
        train,
        validation,
        test,
        levels=grammar.end,
        binarisation="none",
        seed=seed,
        as_counts=True,
        grammar=grammar,
    )


def _lines(name: str, data_dir: str | Path | None, grammar: str, seed: int) -> tuple[list[str], Grammar]:
    """The strings of a source, and the grammar that they are to be read with."""
    if name == "equations" and data_dir is None:
        equations = load_grammar("equations")
        path = cache_file("equations", [*equations.rules, _MADE, _MADE_RULES, seed], ".txt")
        lines = kept_lines(path, lambda: random_strings(equations, _MADE, _MADE_RULES, seed))
    else:
        lines = _read_lines(name, _found(name, data_dir))
    return lines, characters(lines) if grammar == "characters" else load_grammar(grammar)


def _found(name: str, data_dir: str | Path | None) -> Path:
    if name not in _FILES:
        return Path(name)
    path = Path(data_dir or ".").expanduser() / _FILES[name]
    if not path.is_file():
        raise FileNotFoundError(
            f"no data for {name}: {path} is not there. Put it there, or name its folder to train, sweep or encode: "
            "--data-dir FOLDER."
        )
    return path


def _read_lines(name: str, path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there, or not a file.")
    lines = read_lines(path)
    if path.name.endswith((".smi", ".smi.gz")):
        # Only these two part a molecule from its name: what other spaces are in it, the grammar refuses.
        lines = [re.split("[ \t]", line.strip(" \t"), maxsplit=1)[0] for line in lines]
    # The published equations have a space between any two symbols.
    lines = [line.replace(" ", "") for line in lines] if name == "equations" else lines
    if not any(lines):
        raise ValueError(f"{path} is empty: it must hold a string on each line.")
    return lines


def _parsed(name: str, grammar: Grammar, lines: Sequence[str]) -> dict[str, np.ndarray]:
    """`numbers` `[sum(lengths)]`: the derivations, one after the other; padded, all would be as long as the longest.

    `lengths` `[n]`: 0 where a line is not in the language. `failure`: why the first such line is not, or "".
    """
    numbers = bytearray()
    lengths: list[int] = []
    failure = ""
    console = Console(stderr=True)
    for line in track(lines, f"parsing {name}", console=console, transient=True, disable=not console.is_terminal):
        try:
            derivation = grammar.parse(line)
        except NotInLanguageError as error:
            derivation = []
            failure = failure or str(error)
        numbers.extend(derivation)
        lengths.append(len(derivation))
    return {
        "numbers": np.frombuffer(numbers, np.uint8),
        "lengths": np.array(lengths, np.int32),
        "failure": np.array(failure, np.str_),
    }


def _complaint(name: str, lengths: np.ndarray, failure: str, most: int) -> str:
    outside, longer = np.flatnonzero(lengths == 0), np.flatnonzero(lengths > most)
    complaints = []
    if len(outside):
        complaints.append(f"{len(outside)} are not in the language, the first on line {outside[0] + 1}, {failure}")
    if len(longer):
        row = longer[0]
        complaints.append(
            f"{len(longer)} have more than {most} rules, the first on line {row + 1}, which has {lengths[row]}"
        )
    return f"of {len(lengths)} strings of {name}, {'; '.join(complaints)}."
