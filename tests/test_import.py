"""What `import vae_jax` costs somebody who composes one bound."""

import subprocess
import sys
import textwrap

import pytest

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


def test_what_is_loaded_later_is_there_too() -> None:
    import vae_jax

    for name in ("fit", "open_run", "Fitted", "VAETransformer", "as_system"):
        assert getattr(vae_jax, name).__name__ == name
    with pytest.raises(AttributeError, match="attribute nothing"):
        _ = vae_jax.nothing
    with pytest.raises(AttributeError, match=r"attribute ELBO. Did you mean elbo\?"):
        _ = vae_jax.ELBO


def test_programs_for_the_first_version_find_the_grammars() -> None:
    assert run("from vae_jax.grammar import load_grammar; print(load_grammar('equations').accepts('x+1'))") == "True"


def test_the_command_line_says_what_there_is_without_jax() -> None:
    loaded = run("import sys, vae_jax.cli; print(sorted({'jax', 'numpy', 'matplotlib', 'sklearn'} & set(sys.modules)))")
    assert loaded == "[]"


@pytest.mark.parametrize("room", ["bijections", "config", "distributions", "evaluate", "flows", "nets", "objectives"])
def test_the_rooms_are_there_without_being_imported(room: str) -> None:
    assert run(f"import vae_jax as vj; print(vj.{room}.__name__)") == f"vae_jax.{room}"
