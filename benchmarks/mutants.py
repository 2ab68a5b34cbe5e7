"""Break the mathematics and the checkpoints in one place after another, and count how often a test notices.

    python benchmarks/mutants.py [--each 12] [--seed 0] [--only bounds] [--json FILE]

A mutant is a copy of the package with one operator, number, comparison, sign or `stop_gradient` exchanged. It is killed
when a test of its file fails, then when a law does, and else it survives: those are printed, to be looked at. `--each`
is how many mutants of each file are drawn. With the default about an hour on two cores.
"""

import argparse
import ast
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
WORKERS = 2
# Longer than any of the tests takes alone: a mutant that loops for ever is killed too.
MOST_SECONDS = 240
BOUNDS = "elbo or iwae or renyi or ciwae or miwae or bound"
# The files that are broken, and the laws that hold them besides the tests of their own name.
LAWS = {
    "objectives/bounds": BOUNDS,
    "objectives/estimators": BOUNDS,
    "objectives/terms": "elbo",
    "objectives/penalties": "",
    "objectives/discrepancy": "",
    "distributions/continuous": "Student or ContinuousBernoulli or Laplace",
    "distributions/counts": "Binomial or Poisson",
    "distributions/discrete": "Bernoulli or Categorical",
    "distributions/divergences": "kl",
    "distributions/hierarchy": "Chain",
    "distributions/logistic": "Logistic",
    "distributions/masked": "Masked",
    "distributions/mixture": "Mixture",
    "distributions/normal": "Normal",
    "distributions/relaxed": "Concrete or Relaxed or StraightThrough",
    "distributions/sphere": "Sphere or Fisher",
    "train/checkpoint": "",
}
SWAPS: dict[type, Any] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
TEXTS = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
CALLS = {"sum": "mean", "mean": "sum", "exp": "expm1", "log1p": "log", "maximum": "minimum", "minimum": "maximum"}


class Mutant(NamedTuple):
    """One change of a file: where, what stood there, what stands there now, and the whole text with it."""

    file: str
    line: int
    before: str
    after: str
    text: str


def mutants(file: str) -> Iterator[Mutant]:
    """Every mutant of a file of the package."""
    text = (ROOT / "vae_jax" / f"{file}.py").read_text()
    for index in range(len(list(_computing(ast.parse(text))))):
        # A tree of its own, since it is changed in place.
        tree = ast.parse(text)
        node = list(_computing(tree))[index]
        changed = _changed(node)
        if changed is not None:
            before, after = ast.unparse(node), ast.unparse(changed)
            broken = ast.unparse(_Exchange(node, changed).visit(tree))
            yield Mutant(file, getattr(node, "lineno", 0), before, after, broken)


class _Exchange(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, node: ast.AST, changed: ast.AST) -> None:
        self._node, self._changed = node, changed

    def visit(self, node: ast.AST) -> Any:
        return self._changed if node is self._node else self.generic_visit(node)


def _computing(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that compute: not types, texts, imports and errors."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(
                child, (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
            ):
                yield from _computing(child)


def _changed(node: ast.AST) -> ast.AST | None:
    """What can stand in the place of a node."""
    changed: Any = copy.deepcopy(node)
    if isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
        changed.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        changed.ops[0] = SWAPS[type(node.ops[0])]()
    elif isinstance(node, ast.UnaryOp):
        return changed.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        # A large number that is off by one says the same.
        number = node.value
        changed.value = not number if isinstance(number, bool) else number + 1 if abs(number) < 100 else 2 * number
    elif isinstance(node, ast.IfExp):
        changed.body, changed.orelse = changed.orelse, changed.body
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stop_gradient":
        return changed.args[0]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
        changed.func.attr = CALLS[node.func.attr]
    else:
        return None
    return changed


def tried(mutant: Mutant, copies: SimpleQueue[Path]) -> str:
    """What notices a mutant: "its test", "a law", "no end", or "nothing"."""
    folder = copies.get()
    path = folder / "vae_jax" / f"{mutant.file}.py"
    whole = path.read_text()
    room, name = mutant.file.split("/")
    attempts = {"its test": [f"tests/{room}/test_{name}.py"]}
    if LAWS[mutant.file]:
        attempts["a law"] = ["tests/test_laws.py", "-k", f"({LAWS[mutant.file]}) and not mutation"]
    try:
        path.write_text(mutant.text)
        for notices, selected in attempts.items():
            command = [sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", *selected]
            # Python takes a file of the same second and size for compiled already.
            environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
            try:
                ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=MOST_SECONDS)
            except subprocess.TimeoutExpired:
                return "no end"
            if ended.returncode:
                return notices
        return "nothing"
    finally:
        path.write_text(whole)
        copies.put(folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose name holds this")
    parser.add_argument("--json", type=Path, help="write what came of each mutant here")
    arguments = parser.parse_args()
    drawn = {}
    for file in (name for name in LAWS if arguments.only in name):
        every = list(mutants(file))
        drawn[file] = random.Random(f"{arguments.seed} {file}").sample(every, min(arguments.each, len(every)))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(WORKERS) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for worker in range(WORKERS):
            for part in ("vae_jax", "tests", "configs"):
                shutil.copytree(ROOT / part, Path(scratch) / str(worker) / part)
            shutil.copy(ROOT / "pyproject.toml", Path(scratch) / str(worker))
            copies.put(Path(scratch) / str(worker))
        for file, some in drawn.items():
            results = list(pool.map(lambda mutant: tried(mutant, copies), some))
            counts = {notices: results.count(notices) for notices in ("its test", "a law", "no end", "nothing")}
            print(f"{file}: {len(some)} mutants; " + ", ".join(f"{who} {n}" for who, n in counts.items()), flush=True)
            for mutant, notices in zip(some, results, strict=True):
                rows.append(mutant._asdict() | {"killed by": notices})
                if notices == "nothing":
                    print(f"  line {mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True)
    killed = sum(row["killed by"] != "nothing" for row in rows)
    print(f"{killed} of {len(rows)} killed ({killed / len(rows):.0%})")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
