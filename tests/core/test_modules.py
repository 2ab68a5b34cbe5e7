"""Files of the user's own: what is taken from them, when they run again, and how their errors are told."""

import os
import pickle
import sys
from pathlib import Path

import pytest

from vae_jax.core.errors import ConfigError
from vae_jax.core.modules import load_from, users_line


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_value_or_what_a_function_gives(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.py", "NUMBER = 3\n\ndef make():\n    return 4\n")
    assert load_from(path, "NUMBER", int) == 3
    assert load_from(path, "make()", int) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OTHER", r"mine\.py defines no OTHER\."),
        ("make()", r"mine\.py defines no make\(\)\."),
        ("NUMBER", r"NUMBER of .*mine\.py must be of the type str, got int\."),
    ],
)
def test_what_is_not_there_or_of_another_type_is_named(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load_from(written(tmp_path / "mine.py", "NUMBER = 3\n"), name, str)
    with pytest.raises(ConfigError, match=r"there is no Python file .*nowhere\.py"):
        load_from(tmp_path / "nowhere.py", name, str)


def test_a_file_is_run_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    count = (
        "from pathlib import Path\n\nruns = Path(__file__).parent / 'runs'\nruns.write_text(runs.read_text() + '.')\n"
    )
    path = written(tmp_path / "counted.py", count + "NUMBER = 1\n")
    assert [load_from(path, "NUMBER", int) for _ in range(3)] == [1, 1, 1]
    assert (tmp_path / "runs").read_text() == "."
    written(path, "NUMBER = 2\n")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))
    assert load_from(path, "NUMBER", int) == 2


def test_it_may_import_others_beside_it_and_leaves_the_path_as_it_was(tmp_path: Path) -> None:
    written(tmp_path / "beside_the_others.py", "NUMBER = 5\n")
    before = list(sys.path)
    assert load_from(written(tmp_path / "a.py", "from beside_the_others import NUMBER\n"), "NUMBER", int) == 5
    with pytest.raises(ConfigError, match="ModuleNotFoundError"):
        load_from(written(tmp_path / "b.py", "import no_such_module\n"), "NUMBER", int)
    assert sys.path == before


def test_each_file_has_those_beside_it_as_they_are(tmp_path: Path) -> None:
    for folder, number in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder / "beside_both.py", f"NUMBER = {number}\n")
        written(tmp_path / folder / "mine.py", "from beside_both import NUMBER\n")
    assert [load_from(tmp_path / folder / "mine.py", "NUMBER", int) for folder in ("a", "b", "a")] == [1, 2, 1]
    # What an editor has open.
    (tmp_path / "a" / ".#mine.py").symlink_to("nowhere")
    # Who imported one of them goes on with that.
    assert sys.modules["beside_both"].NUMBER == 1
    beside = written(tmp_path / "a" / "beside_both.py", "NUMBER = 30\n")
    os.utime(beside, ns=(0, beside.stat().st_mtime_ns + 1_000_000_000))
    assert load_from(tmp_path / "a" / "mine.py", "NUMBER", int) == 30
    assert load_from(tmp_path / "b" / "mine.py", "NUMBER", int) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = x +\n", r"broken\.py, line 2: SyntaxError"),
        ("x = 1\n\nunknown\n", r"broken\.py, line 3: NameError: name 'unknown' is not defined"),
        ("def fail():\n    return 1 / 0\n\nfail()\n", r"broken\.py, line 2: ZeroDivisionError"),
    ],
)
def test_an_error_inside_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load_from(written(tmp_path / "broken.py", text), "NUMBER", int)


def test_an_error_that_comes_later_is_traced_to_the_innermost_line_of_the_user(tmp_path: Path) -> None:
    path = written(tmp_path / "late.py", "def inner(call):\n    call()\n\ndef outer(call):\n    inner(call)\n")
    with pytest.raises(ZeroDivisionError) as caught:
        load_from(path, "outer", object)(lambda: 1 / 0)
    assert users_line(caught.value) == f"{path}, line 2"
    with pytest.raises(ZeroDivisionError) as ours:
        _ = 1 / 0
    assert users_line(ours.value) is None


def test_values_of_its_classes_can_be_pickled(tmp_path: Path) -> None:
    text = "from typing import NamedTuple\n\nclass Pair(NamedTuple):\n    a: int\n\nPAIR = Pair(3)\n"
    pair = load_from(written(tmp_path / "pickled.py", text), "PAIR", tuple)
    assert pickle.loads(pickle.dumps(pair)) == pair
