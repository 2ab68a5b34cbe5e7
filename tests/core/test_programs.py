import os
import subprocess
import sys
from pathlib import Path

COMPILE = """
from vae_jax.core import programs
programs._LEAST_SECONDS = 0.0
programs._processor = lambda: "{processor}"
programs.keep_programs()
import jax
jax.jit(lambda x: x * 3.0)(2.0)
"""


def compiled(folder: Path, processor: str = "one", **variables: str) -> set[Path]:
    """The folders with programs, after a process has compiled one."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"VAE_JAX_CACHE": str(folder / "cache"), "JAX_PLATFORMS": "cpu", **variables}
    subprocess.run([sys.executable, "-c", COMPILE.format(processor=processor)], env=environment, check=True)
    return {path.parent.relative_to(folder) for path in folder.rglob("*-cache")}


def test_what_is_compiled_is_kept_in_the_cache_for_each_processor_by_itself(tmp_path: Path) -> None:
    assert compiled(tmp_path, JAX_ENABLE_COMPILATION_CACHE="0") == set()
    (first,) = compiled(tmp_path)
    assert first.parent == Path("cache")
    assert first.name.startswith("programs-")
    assert compiled(tmp_path) == {first}
    both = compiled(tmp_path, "another")
    assert len(both) == 2
    assert first in both


def test_the_folder_of_the_user_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    variables = {"JAX_COMPILATION_CACHE_DIR": str(mine), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    assert compiled(tmp_path, **variables) == {Path("mine")}
