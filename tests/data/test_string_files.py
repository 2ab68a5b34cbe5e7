"""Files of strings from elsewhere, and what is advised where some of them do not fit."""

import codecs
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs import changed
from vae_jax.cli import main
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.data import UnfitStringsError, load_strings, whole_strings
from vae_jax.languages.grammar import load_grammar
from vae_jax.train.run import create

MOLECULES = ["CCO", "c1ccccc1", "[13CH4]", "C0CC0", "[Ca++]", "CC(=O)O"]


def written(path: Path, data: bytes) -> str:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def texts(data: Any) -> set[str]:
    return {data.grammar.unparse(row.tolist()) for split in (data.train, data.validation, data.test) for row in split.x}


@pytest.mark.parametrize("ending", [".txt", ".smi", ".txt.gz", ".smi.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_files_of_any_system(mark: bytes, end: str, ending: str, tmp_path: Path) -> None:
    names = ["", " Äthanol", "\tbenzene 1"] if ".smi" in ending else [""]
    lines = [molecule + names[i % len(names)] for i, molecule in enumerate(MOLECULES * 4)]
    data = mark + (end.join(lines) + end).encode()
    assert texts(load_strings(written(tmp_path / f"some{ending}", data), grammar="smiles")) == set(MOLECULES)


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
    assert texts(load_strings(written(tmp_path / "some.txt", data), grammar="characters")) == set(strings)
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


@pytest.mark.parametrize("command", [["evaluate", "--gaps", "0"], ["resume"], ["sample", "--count", "2"]])
def test_the_advice_to_open_a_run_is_to_put_its_file_back(
    command: list[str], run: Path, capsys: pytest.CaptureFixture
) -> None:
    data = run.parent / "good.txt"
    before = data.read_bytes()
    try:
        written(data, "\n".join(BAD).encode())
        status = main([command[0], str(run), *command[1:]])
        error = capsys.readouterr().err
        # What needs no data may go on without them.
        if status:
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
