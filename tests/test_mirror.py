"""The tests mirror the package: a folder for each room, and `test_NAME.py` for NAME.py, where that does anything."""

import ast
from pathlib import Path

PACKAGE, TESTS = Path(__import__("vae_jax").__file__).parent, Path(__file__).parent

# Files that only name things: what they name is tested where it is used. An `__init__` hands names on.
NAMES_ALONE = {
    "core/errors.py": "two kinds of error; their messages are tested where they are raised",
    "core/types.py": "the types of signatures",
    "config/compute.py": "fields: their effect is tested where they are read",
    "measure/measurement.py": "records: the measurements are tested in their own files",
}
# Tests of no one file.
OF_THE_WHOLE = {
    "advice",
    "docs",
    "fuzz",
    "import",
    "languages/smiles",
    "laws",
    "layers",
    "mangled",
    "mirror",
    "modes",
    "notebooks",
    "old_runs",
    "portable",
    "readme",
    "release",
    "shell",
}


def files(package: Path) -> set[str]:
    """The files of a package, `core/types.py` and the like. An installed one has the configs in it too."""
    found = {path.relative_to(package) for path in package.rglob("*.py") if path.name != "__init__.py"}
    return {str(path) for path in found if path.parts[0] != "configs"}


def mirrored(tests: Path) -> set[str]:
    """The files that have tests: `core/trees.py` for `core/test_trees.py`, where that holds a test."""
    found = [path for path in tests.rglob("test_*.py") if "def test_" in path.read_text()]
    return {str(path.relative_to(tests).with_name(path.name.removeprefix("test_"))) for path in found}


def acts(path: Path) -> bool:
    """Whether a file has any function, so something that can be wrong."""
    functions = (ast.FunctionDef, ast.Lambda)
    return any(isinstance(node, functions) for node in ast.walk(ast.parse(path.read_text())))


def untested(package: Path, tests: Path) -> set[str]:
    """The files without a test of their own name."""
    return files(package) - mirrored(tests) - set(NAMES_ALONE)


def test_every_file_has_a_test_of_its_own_name() -> None:
    assert untested(PACKAGE, TESTS) == set()


def test_every_test_stands_where_its_file_does() -> None:
    assert mirrored(TESTS) - files(PACKAGE) == {f"{name}.py" for name in OF_THE_WHOLE}


def test_what_is_excused_is_there_and_has_no_behaviour() -> None:
    assert set(NAMES_ALONE) <= files(PACKAGE) - mirrored(TESTS)
    assert [name for name in NAMES_ALONE if acts(PACKAGE / name)] == []


def test_a_new_file_without_a_test_is_found(tmp_path: Path) -> None:
    package, tests = tmp_path / "package", tmp_path / "tests"
    for folder in (package / "core", tests / "core"):
        folder.mkdir(parents=True)
    (package / "core" / "new.py").write_text("def new():\n    return 1\n")
    assert untested(package, tests) == {"core/new.py"}
    # A file of the name is not enough.
    (tests / "core" / "test_new.py").write_text('"""Soon."""\n')
    assert untested(package, tests) == {"core/new.py"}
    (tests / "core" / "test_new.py").write_text("def test_new():\n    assert True\n")
    assert untested(package, tests) == set()
    assert acts(package / "core" / "new.py")
