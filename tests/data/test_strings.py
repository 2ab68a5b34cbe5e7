import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs import lines
from vae_jax.data import load_strings
from vae_jax.data.strings import derivations, random_strings
from vae_jax.languages.grammar import load_grammar, read_grammar
from vae_jax.measure.strings import texts


def test_published_equations_and_molecules(shared_data: Path, tmp_path: Path) -> None:
    for name, count in (("equation2_15.txt.gz", 1000), ("zinc250k.smi.gz", 5600)):
        with gzip.open(shared_data / name, "rt") as file, gzip.open(tmp_path / name, "wt") as some:
            some.writelines(next(file) for _ in range(count))
    equations = load_strings("equations", grammar="equations", data_dir=tmp_path, validation_size=100)
    assert (len(equations.train.x), len(equations.validation.x), len(equations.test.x)) == (700, 100, 200)
    assert equations.shape[0] <= 14
    molecules = load_strings("zinc", grammar="smiles", data_dir=tmp_path)
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
        ValueError, match=r"1 have more than 6 rules, the first on line 3, which has 8\. To train without them"
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
    with pytest.raises(
        FileNotFoundError, match=r"no data for zinc: .*zinc250k.smi.gz is not there. Name its folder with"
    ):
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


def test_there_may_be_too_few_strings() -> None:
    with pytest.raises(ValueError, match="has only 2 strings of at most 1 rules, not 3"):
        random_strings(read_grammar('start: "a" | "b"'), 3, 1, seed=0)
