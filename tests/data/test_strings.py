"""Files of strings from elsewhere, and what is advised where some of them do not fit."""

import codecs
import gzip
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs import changed, lines
from vae_jax.cli import main
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.data import UnfitStringsError, load_strings, whole_strings
from vae_jax.data.cache import cache_file
from vae_jax.data.strings import derivations, random_strings
from vae_jax.languages.grammar import load_grammar, read_grammar
from vae_jax.measure.strings import texts
from vae_jax.train.run import create


def test_published_equations_and_molecules(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    for name, count in (("equation2_15.txt.gz", 1000), ("zinc250k.smi.gz", 5600)):
        with gzip.open(shared_data(name), "rt") as file, gzip.open(tmp_path / name, "wt") as some:
            some.writelines(next(file) for _ in range(count))
    equations = load_strings("equations", grammar="equations", data_dir=tmp_path, validation_size=100)
    assert (len(equations.train.x), len(equations.validation.x), len(equations.test.x)) == (700, 100, 200)
    assert equations.shape[0] <= 14
    molecules = load_strings("zinc", grammar="smiles_zinc", data_dir=tmp_path)
    # The first 5,000 lines are the test split, in their order.
    assert (len(molecules.train.x), len(molecules.validation.x), len(molecules.test.x)) == (540, 60, 5000)
    assert molecules.grammar is not None
    assert texts(molecules.grammar, molecules.test.x[:1]) == ["CC(C)(C)c1ccc2occ(CC(=O)Nc3ccccc3F)c2c1"]


def test_equations_are_made_where_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_jax.data.strings._MADE", 300)
    first, again = (load_strings("equations", grammar="equations", seed=3) for _ in range(2))
    assert len(first.train.x) + len(first.validation.x) + len(first.test.x) == 300
    np.testing.assert_array_equal(first.train.x, again.train.x)
    assert first.grammar is not None
    assert len(set(texts(first.grammar, first.train.x))) == len(first.train.x)


def test_own_files(tmp_path: Path) -> None:
    path = lines(tmp_path / "mine.smi", "CCO ethanol", "c1ccccc1\tbenzene", *(["C"] * 20))
    data = load_strings(path, grammar="smiles")
    assert data.grammar is not None
    seen = {string for split in (data.train, data.validation, data.test) for string in texts(data.grammar, split.x)}
    assert seen == {"CCO", "c1ccccc1", "C"}
    as_characters = load_strings(path, grammar="characters")
    assert as_characters.shape == (len("c1ccccc1") + 1,)
    (tmp_path / "two.lark").write_text('start: "a" start | "a"')
    with gzip.open(tmp_path / "words.txt.gz", "wt") as file:
        file.write("a\naa\naaa\n" * 10)
    assert load_strings(str(tmp_path / "words.txt.gz"), grammar=str(tmp_path / "two.lark")).shape == (3,)


def test_strings_that_do_not_fit(tmp_path: Path) -> None:
    path = lines(tmp_path / "mine.txt", "x+1", "x+y", "x*x*x*x", "", "1", "2", "3", "x/2", "x*2")
    options: dict[str, Any] = {"grammar": "equations", "validation_size": 1}
    with pytest.raises(
        ValueError, match=r"of 9 strings of .*, 2 are not in the language, the first on line 2, column 3"
    ):
        load_strings(path, **options)
    with pytest.raises(
        ValueError, match=r"1 have more than 6 rules, the first on line 3, which has 8\. With skip=True they are"
    ):
        load_strings(path, most=6, **options)
    with pytest.warns(UserWarning, match="2 are not in the language.* They were left out"):
        kept = load_strings(path, skip=True, **options)
    assert len(kept.train.x) + len(kept.validation.x) + len(kept.test.x) == 7
    with pytest.raises(ValueError, match="holds no string that fits"):
        load_strings(path, most=1, skip=True, **options)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"empty.txt is empty: it must hold a string on each line"):
        load_strings(lines(tmp_path / "empty.txt", ""), grammar="equations")
    with pytest.raises(FileNotFoundError, match="nowhere.txt is not there"):
        load_strings(str(tmp_path / "nowhere.txt"), grammar="equations")
    with pytest.raises(FileNotFoundError, match=r"no data for zinc: .*zinc250k.smi.gz is not there. Put it there, or"):
        load_strings("zinc", grammar="smiles", data_dir=tmp_path)


def test_parsed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path))
    grammar, given = load_grammar("equations"), ["x", "x+1", "y", "2"]
    with pytest.warns(UserWarning, match="1 are not in the language"):
        first, rows = derivations("some", grammar, given, skip=True)
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr("vae_jax.data.strings._parsed", None)
    with pytest.warns(UserWarning, match="1 are not in the language"):
        again, same = derivations("some", grammar, given, skip=True)
    np.testing.assert_array_equal(first, again)
    assert rows.tolist() == same.tolist() == [0, 1, 3]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_one_long_string_does_not_make_all_long(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path))
    grammar = load_grammar("equations")
    given = ["x+1", "x", "1+" * 1500 + "1", "y", "2*x"] * 400
    first, rows = derivations("some", grammar, given[:5], most=8, skip=True)
    assert rows.tolist() == [0, 1, 4]
    assert [grammar.unparse(row.tolist()) for row in first] == ["x+1", "x", "2*x"]
    given[5:] = [line for line in given[5:] if len(line) < 5]
    derivations("some", grammar, given, most=8, skip=True)
    # Bytes of all rules, and four for each length.
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < 10_000 + 15 * len(given)
    tracemalloc.start()
    again, _ = derivations("some", grammar, given, most=8, skip=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(again[:3], first)
    assert peak < 1000 * len(given)


def test_a_file_of_an_earlier_form_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VAE_JAX_CACHE", str(tmp_path))
    grammar, given = load_grammar("equations"), ["x", "1"]
    earlier = cache_file("derivations", [*grammar.rules, "", *given])
    kept = {"numbers": np.zeros((2, 1), np.uint8), "lengths": np.ones(2, np.int32), "failures": np.array([], np.str_)}
    np.savez(earlier, **kept)
    found, _ = derivations("some", grammar, given)
    assert [grammar.unparse(row.tolist()) for row in found] == given


def test_there_may_be_too_few_strings() -> None:
    with pytest.raises(ValueError, match="has only 2 strings of at most 1 rules, not 3"):
        random_strings(read_grammar('start: "a" | "b"'), 3, 1, seed=0)


MOLECULES = ["CCO", "c1ccccc1", "[13CH4]", "C0CC0", "[Ca++]", "CC(=O)O"]


def written(path: Path, data: bytes) -> str:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def strings_of(data: Any) -> set[str]:
    return {data.grammar.unparse(row.tolist()) for split in (data.train, data.validation, data.test) for row in split.x}


@pytest.mark.parametrize("ending", [".txt", ".smi", ".txt.gz", ".smi.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_files_of_any_system(mark: bytes, end: str, ending: str, tmp_path: Path) -> None:
    names = ["", " Äthanol", "\tbenzene 1"] if ".smi" in ending else [""]
    lines = [molecule + names[i % len(names)] for i, molecule in enumerate(MOLECULES * 4)]
    data = mark + (end.join(lines) + end).encode()
    assert strings_of(load_strings(written(tmp_path / f"some{ending}", data), grammar="smiles")) == set(MOLECULES)


@pytest.mark.parametrize("ending", [".txt", ".smi", ".txt.gz", ".smi.gz"])
@pytest.mark.parametrize(
    ("encoding", "message"),
    [("latin-1", "line 3, byte 7 of the text: 0xe9 is not UTF-8"), ("utf-16", "is text in UTF-16, by its first bytes")],
)
def test_another_encoding_is_one_line_on_the_command_line(
    encoding: str, message: str, ending: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path / f"some{ending}", "CC\nCC\né\n".encode(encoding))
    assert main(["train", "zinc", "--dataset", path, "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"vae-jax train: {path}")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("inside", ["\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\u00a0"])
def test_a_string_keeps_every_character_but_the_end_of_its_line(inside: str, tmp_path: Path) -> None:
    strings = [f"a{inside}b", "ab", "b", f"{inside}a"]
    data = ("\n".join(strings * 4) + "\n").encode()
    assert strings_of(load_strings(written(tmp_path / "some.txt", data), grammar="characters")) == set(strings)
    # In a file of molecules, too, only a space or a tab ends one: another is no part of SMILES, and the string refused.
    molecules = written(tmp_path / "some.smi", f"CC\nC{inside}C name\n".encode())
    with pytest.raises(UnfitStringsError, match="1 are not in the language, the first on line 2, column 2: unexpected"):
        load_strings(molecules, grammar="smiles")


def small() -> Any:
    config = changed(quick(load_config("equations")), "data", stand_in=False)
    config = changed(config, "model", hidden=(4,), latent_size=2)
    config = changed(config, "train", epochs=1, batch_size=8)
    return changed(config, "strings", recurrent_size=4)


GOOD = ["x", "x+1", "1", "2", "3", "x*x", "x/2", "sin(x)", "x*2", "exp(x)"] * 4
BAD = [*GOOD[:3], "x+y", *GOOD[3:], "++"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advice")
    written(folder / "good.txt", "\n".join(GOOD).encode())
    flags = ["--epochs", "1", "--batch-size", "8", "--hidden", "4", "--latent-size", "2", "--recurrent-size", "4"]
    config = ["train", "equations", "--dataset", str(folder / "good.txt"), *flags, "--evaluation-samples", "2"]
    assert main([*config, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_the_advice_to_train_is_a_flag_of_train(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path / "bad.txt", "\n".join(BAD).encode())
    for command in (["train", "equations"], ["sweep", "equations", "--over", "objective.beta=1,2"]):
        assert main([*command, "--dataset", path, "--out", str(tmp_path / "run")]) == 1
        error = capsys.readouterr().err
        assert "of 42 strings of" in error
        assert error.endswith("To train without them: --skip-strings.\n")
    config = changed(changed(small(), "data", dataset=path), "strings", skip_strings=True)
    with pytest.warns(UserWarning, match="2 are not in the language.* They were left out"):
        assert create(config, tmp_path / "run").dataset.grammar == load_grammar("equations")


def test_where_none_fits_there_is_no_advice_to_skip(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path / "other.txt", b"a\nb\n")
    for skip in ([], ["--skip-strings"]):
        assert main(["train", "equations", "--dataset", path, "--out", str(tmp_path / "run"), *skip]) == 1
        error = capsys.readouterr().err
        assert "holds no string that fits its grammar: of 2 strings" in error
        assert "skip" not in error


def test_the_advice_to_encode_is_to_leave_out_the_lines(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path / "bad.txt", "\n".join(BAD).encode())
    command = ["encode", str(run), path, "--out", str(tmp_path / "codes.npz")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "skip" not in error
    advice = re.search(r"Name a copy of (.*) without these: line ([\d, ]+)\.\n$", error)
    assert advice is not None
    assert advice[1] == path
    numbers = {int(number) for number in advice[2].split(", ")}
    assert numbers == {4, 42}
    kept = [line for number, line in enumerate(BAD, 1) if number not in numbers]
    command[2] = written(tmp_path / "copy.txt", "\n".join(kept).encode())
    assert main(command) == 0
    assert np.load(tmp_path / "codes.npz")["mean"].shape == (len(GOOD), 2)


@pytest.mark.parametrize(
    ("command", "needs_data"),
    [(["evaluate", "--gaps", "0"], True), (["resume"], True), (["sample", "--count", "2"], False)],
)
def test_the_advice_to_open_a_run_is_to_put_its_file_back(
    command: list[str], needs_data: bool, run: Path, capsys: pytest.CaptureFixture
) -> None:
    data = run.parent / "good.txt"
    before = data.read_bytes()
    try:
        written(data, "\n".join(BAD).encode())
        status = main([command[0], str(run), *command[1:]])
        error = capsys.readouterr().err
        assert status == needs_data
        if needs_data:
            assert "2 are not in the language, the first on line 4, column 3" in error
            assert error.endswith("trained all strings fitted: put the file, or the grammar, back as it was.\n")
            assert "skip" not in error
    finally:
        written(data, before)
    assert main([command[0], str(run), *command[1:]]) == 0


def test_many_lines_are_not_all_named(tmp_path: Path) -> None:
    like = load_strings(written(tmp_path / "good.txt", "\n".join(GOOD).encode()), grammar="equations")
    path = written(tmp_path / "bad.txt", ("x\n" + "y\n" * 250).encode())
    with pytest.raises(UnfitStringsError, match="line 2, 3, .*, 100, 101 and 150 more.$") as caught:
        whole_strings(path, like)
    assert caught.value.lines == list(range(2, 252))


def test_where_data_are_missing_the_advice_names_the_commands_that_have_the_flag(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"is not there. Put it there, or .* train, sweep or encode: --data-dir"
    ):
        load_strings("zinc", grammar="smiles_zinc", data_dir=tmp_path)
