"""What may know what: the folders of the package are layers, and each imports only from those above it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__import__("vae_jax").__file__).parent

# From the ground up; of a line each room knows the ones before it in the same line too.
LAYERS = (
    ("core",),
    ("languages", "config"),
    ("distributions", "bijections", "flows", "models", "objectives", "evaluate"),
    ("data", "optimizers"),
    ("nets",),
    ("systems",),
    ("train",),
    ("measure",),
    ("pictures",),
    ("report", "search"),
    ("commands",),
    ("cli",),
)
# In the order of a line one room may know the ones before it; in these lines no room knows another.
APART = (("languages", "config"), ("data", "optimizers"), ("report", "search"))
FLOOR = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}
HEAVY = {"flax", "optax", "orbax", "matplotlib", "sklearn", "tensorflow_datasets", "tyro", "rich", "blackjax"}


def imports(path: Path, *, inner: bool = True) -> Iterator[str]:
    """The modules that a file names, `vae_jax.core.types` and the like; inside functions too, or at its top alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if inner else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(module: str) -> str:
    """The folder of a module of the package, or the file where it stands at the top."""
    return module.split(".")[1]


def allowed(here: str, there: str) -> bool:
    if here == there:
        return True
    line = LAYERS[FLOOR[here]]
    if FLOOR[there] == FLOOR[here]:
        return line not in APART and line.index(there) < line.index(here)
    return FLOOR[there] < FLOOR[here]


def breaks(path: Path, here: str) -> list[str]:
    """Imports of a file in the room `here` that climb."""
    own = [module for module in imports(path) if module.startswith("vae_jax.") and room(module) != "__version__"]
    return [module for module in own if not allowed(here, room(module))]


def files() -> list[tuple[str, Path]]:
    found = [(path, path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py"))]
    return [(under.parts[0].removesuffix(".py"), path) for path, under in found if str(under) != "__init__.py"]


def test_every_folder_is_a_layer() -> None:
    rooms = {here for here, _ in files()} - {"configs"}
    assert rooms == set(FLOOR)
    assert len([path for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()]) <= 18
    assert sorted(path.name for path in PACKAGE.glob("*.py")) == ["__init__.py", "cli.py", "flows.py"]


@pytest.mark.parametrize(("here", "path"), [pytest.param(*f, id=str(f[1].relative_to(PACKAGE))) for f in files()])
def test_a_file_imports_only_from_above(here: str, path: Path) -> None:
    assert breaks(path, here) == []
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize(
    ("here", "line"),
    [
        # The three that there were, and one of each kind.
        ("objectives", "from vae_jax.config.fields import Codes"),
        ("systems", "from vae_jax.train.optimizer import make_optimizer"),
        ("config", "from vae_jax.data.dataset import Binarisation"),
        ("distributions", "from vae_jax.models.vae import VAE"),
        ("measure", "def late():\n    from vae_jax.report.table import tables"),
        ("search", "import vae_jax.report.table"),
    ],
)
def test_a_climb_is_found(here: str, line: str, tmp_path: Path) -> None:
    (tmp_path / "new.py").write_text(line + "\n")
    # Objectives know nothing of a config although its room is above.
    found = breaks(tmp_path / "new.py", here) or pure_breaks(tmp_path / "new.py", here)
    assert len(found) == 1


PURE = LAYERS[2]


def pure_breaks(path: Path, here: str) -> list[str]:
    """What the mathematics must not know, though it stands above: configs; and at import what is heavy."""
    if here not in (*PURE, "core"):
        return []
    config = [module for module in imports(path) if module.startswith("vae_jax.config")]
    return config + [module for module in imports(path, inner=False) if module.split(".")[0] in HEAVY]


@pytest.mark.parametrize(
    "path", [path for here, path in files() if here in (*PURE, "core")], ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_the_mathematics_is_pure(path: Path) -> None:
    assert pure_breaks(path, path.relative_to(PACKAGE).parts[0].removesuffix(".py")) == []


def test_only_the_pictures_draw_and_only_the_report_prints_tables() -> None:
    for here, path in files():
        for module in imports(path):
            assert not module.startswith("matplotlib") or here == "pictures", path
            tables = module.startswith(("rich.table", "rich.panel"))
            assert not tables or here in ("report", "commands", "cli"), path


def test_kinds_are_asked_in_one_place() -> None:
    """Of a model, a posterior or an example only `measure/subject.py` asks what it is."""
    asked = []
    for here, path in files():
        if here in ("measure", "pictures", "report", "commands", "search") and path.name != "subject.py":
            for node in ast.walk(ast.parse(path.read_text())):
                asks = isinstance(node, ast.Name) and node.id in ("isinstance", "hasattr", "type")
                if asks or (isinstance(node, ast.Attribute) and node.attr == "__class__"):
                    asked.append((str(path.relative_to(PACKAGE)), node.lineno))
    assert asked == []


def test_every_folder_says_what_it_is() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text()))
        assert text, path
        if path.parent != PACKAGE:
            assert "mport" in text, path


def test_the_median_file_is_short() -> None:
    lengths = sorted(len(path.read_text().splitlines()) for _, path in files() if path.name != "__init__.py")
    assert lengths[len(lengths) // 2] <= 110
