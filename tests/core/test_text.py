import ast
import codecs
import functools
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

import vae_jax
from vae_jax.core.files import write_whole
from vae_jax.core.text import read_lines, read_text

LINES = ["C1=CC", "", "x + 1", "é ∑ 漢"]
# What str.splitlines cuts at beside "\n", and a file has inside its lines.
INSIDE = ["\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\u00a0", "\ufeff"]
ENDINGS = [".txt", ".smi", ".txt.gz", ".smi.gz"]
MARKS = {"utf-8": b"", "utf-8 with a mark": codecs.BOM_UTF8}
# What the error says after the path of a file in another encoding: its mark, a byte that cannot be, or a zero.
OTHERS = {
    "utf-16": "is text in UTF-16, by its first bytes ff fe. Save it as UTF-8.",
    "utf-32": "is text in UTF-32, by its first bytes ff fe 00 00. Save it as UTF-8.",
    "utf-16-le": ", line 1, byte 2 of the text is 0, which text in UTF-16 or UTF-32 has",
    "utf-16-be": ", line 1, byte 1 of the text is 0, which text in UTF-16 or UTF-32 has",
    "utf-32-be": ", line 1, byte 1 of the text is 0, which text in UTF-16 or UTF-32 has",
    "latin-1": ", line 2, byte 5 of the text: 0xe9 is not UTF-8. Save the file as UTF-8.",
    "cp1252": ", line 2, byte 5 of the text: 0xe9 is not UTF-8. Save the file as UTF-8.",
}


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("last", [True, False])
def test_lines_of_any_system(mark: str, end: str, ending: str, last: bool, tmp_path: Path) -> None:
    data = MARKS[mark] + (end.join(LINES) + (end if last else "")).encode()
    assert read_lines(written(tmp_path / f"some{ending}", data)) == LINES


@pytest.mark.parametrize("inside", INSIDE)
def test_a_line_ends_nowhere_else(inside: str, tmp_path: Path) -> None:
    text = f"a{inside}b\nc{inside}\n"
    path = written(tmp_path / "some.txt", text.encode())
    assert read_lines(path) == ([f"a{inside}b", f"c{inside}"] if inside != "\r" else ["a\rb", "c"])
    assert read_text(path) == text


@pytest.mark.parametrize("ending", [".txt", ".smi.gz", ".lark", ".json"])
@pytest.mark.parametrize("encoding", OTHERS)
def test_another_encoding_is_named_in_one_line(encoding: str, ending: str, tmp_path: Path) -> None:
    path = written(tmp_path / f"some{ending}", "x+1\né+2\n".encode(encoding))
    with pytest.raises(ValueError, match="as UTF-8|in UTF-8") as caught:
        read_text(path)
    message = str(caught.value)
    assert message.removeprefix(str(path)).strip().startswith(OTHERS[encoding])
    assert "\n" not in message
    # What it advises helps.
    assert read_lines(written(path, "x+1\né+2\n".encode())) == ["x+1", "é+2"]


# Without a time inside, or the names of the tests would differ from process to process.
_GZIP = functools.partial(gzip.compress, mtime=0)


@pytest.mark.parametrize("data", [b"x+1\n", _GZIP(b"x+1\n" * 1000)[:-9], _GZIP(b"x+1\n")[:-1] + b"?"])
def test_what_is_no_whole_gzip_file(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "some.txt.gz").write_bytes(data)
    with pytest.raises(ValueError, match=r"some.txt.gz is no whole gzip file: "):
        read_text(tmp_path / "some.txt.gz")


def test_what_is_written_is_the_same_on_every_system(tmp_path: Path) -> None:
    write_whole(tmp_path / "some.txt", "é\nb\n")
    assert (tmp_path / "some.txt").read_bytes() == "é\nb\n".encode()


def text_calls(path: Path) -> list[str]:
    """Calls that read or write text without naming its encoding, or cut it at more than the ends of lines."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Attribute, ast.Name)):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        named = {keyword.arg for keyword in node.keywords}
        modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        if name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute) and "encoding" not in named:
            found.append(f"{path.name}:{node.lineno} {name}")
        if name == "open" and "encoding" not in named and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if owner not in ("gzip", "Image") and not any("b" in str(mode) for mode in modes):
                found.append(f"{path.name}:{node.lineno} open")
    return found


def test_the_package_names_the_encoding_of_all_text() -> None:
    package = Path(vae_jax.__file__).parent
    assert [call for path in sorted(package.rglob("*.py")) for call in text_calls(path)] == []


def test_a_run_can_be_read_where_text_is_another_encoding_by_default(tmp_path: Path) -> None:
    """As on Windows: in the C locale without UTF-8 mode, é could be neither read nor written."""
    program = (
        "import sys; from pathlib import Path; from vae_jax.core.files import write_whole;"
        "from vae_jax.core.text import read_lines; from vae_jax.data.cache import kept_lines;"
        "path = Path(sys.argv[1]); write_whole(path / 'a', '\\xe9\\n'); assert read_lines(path / 'a') == ['\\xe9'];"
        "assert kept_lines(path / 'b', lambda: ['\\u2028f']) == kept_lines(path / 'b', list) == ['\\u2028f']"
    )
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-X", "utf8=0", "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
