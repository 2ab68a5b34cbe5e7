import os
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import monitoring

from vae_jax.core.programs import compiled_beside

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


def test_what_a_thread_compiles_is_not_compiled_again() -> None:
    compiled, main = [], threading.get_ident()

    def noted(event: str, seconds: float, **_: object) -> None:
        if event.endswith("backend_compile_duration"):
            compiled.append(threading.get_ident())

    monitoring.register_event_duration_secs_listener(noted)
    try:
        three = jnp.float32(3.0)
        compiled.clear()
        double = compiled_beside(jax.jit(lambda x, by: by * x), three, three)
        assert float(double(three, three)) == 9.0
        assert len(compiled) == 1
        assert main not in compiled
        # For other shapes it is compiled as any is.
        assert double(jnp.ones(2), three).shape == (2,)
        assert main in compiled
    finally:
        monitoring.unregister_event_duration_listener(noted)


def test_a_thread_that_cannot_compile_says_so_where_it_is_called() -> None:
    class Refused:
        def lower(self, x):
            return self

        def compile(self):
            raise MemoryError("too large")

    program = compiled_beside(Refused(), 1.0)
    with pytest.raises(MemoryError, match="too large"):
        program(1.0)


def test_the_folder_of_the_user_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    variables = {"JAX_COMPILATION_CACHE_DIR": str(mine), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    assert compiled(tmp_path, **variables) == {Path("mine")}
