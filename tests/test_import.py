"""What `import vae_jax` costs somebody who composes one bound."""

import subprocess
import sys
import textwrap

HEAVY = ("flax", "optax", "chex", "orbax", "tensorflow_datasets", "sklearn", "matplotlib", "tyro", "rich", "blackjax")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_nothing_heavy_is_loaded() -> None:
    loaded = run(f"""
        import sys, vae_jax
        print([name for name in {HEAVY} if name in sys.modules])
    """)
    assert loaded == "[]"


def test_it_adds_little_to_importing_jax() -> None:
    code = """
        import time, jax, jax.numpy
        # Of this process alone: whatever else the machine does.
        start = time.process_time()
        import vae_jax
        print(time.process_time() - start)
    """
    assert min(float(run(code)) for _ in range(2)) < 0.2


def test_the_public_names_are_there() -> None:
    import vae_jax

    assert all(hasattr(vae_jax, name) for name in vae_jax.__all__)


def test_the_mathematics_imports_nothing_built_on_it() -> None:
    import ast
    from pathlib import Path

    package = Path(__import__("vae_jax").__file__).parent
    mathematics = (
        "checks",
        "distributions",
        "divergences",
        "model",
        "bounds",
        "estimators",
        "terms",
        "latent",
        "hierarchy",
        "flows",
        "bijections",
        "grammar",
    )
    files = [package / f"{name}.py" for name in (*mathematics, "linear_gaussian") if name != "distributions"]
    for path in (*files, *(package / "distributions").glob("*.py")):
        name = path.stem
        tree = ast.parse(path.read_text())
        modules = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        modules += [alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names]
        own = {m.removeprefix("vae_jax.").split(".")[0] for m in modules if m.startswith("vae_jax")}
        assert own <= {*mathematics}, name
        assert not any(m.split(".")[0] in HEAVY for m in modules), name
