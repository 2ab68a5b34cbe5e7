"""Compiled programs, kept between commands: the second `vae-jax train` of a model starts at once."""

import hashlib
import os
import platform
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

# Programs that compile faster are compiled again; and the least used go when all together have so many bytes.
_LEAST_SECONDS, _MOST_BYTES = 0.05, 2**29


def keep_programs() -> None:
    """Keep what JAX compiles from now on. It is told by the environment, and directly where it is loaded already.

    The folder is one of VAE_JAX_CACHE, by default of the system's caches. Where JAX_COMPILATION_CACHE_DIR names another
    it is that one; JAX_ENABLE_COMPILATION_CACHE=0 keeps nothing.
    """
    jax = sys.modules.get("jax")
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or (jax and jax.config.jax_compilation_cache_dir):
        return
    base = os.environ.get("VAE_JAX_CACHE") or platformdirs.user_cache_path("vae_jax")
    # A program for one processor may stop another.
    folder = Path(base).expanduser() / f"programs-{hashlib.sha256(_processor().encode()).hexdigest()[:16]}"
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": _LEAST_SECONDS,
        "jax_compilation_cache_max_size": _MOST_BYTES,
    }
    os.environ.update({name.upper(): str(value) for name, value in settings.items()})
    if jax:
        for name, value in settings.items():
            jax.config.update(name, value)


def compiled_beside(program: Any, *arguments: Any) -> Callable[..., Any]:
    """A jitted `program`, compiled for such arguments in a thread, beside what else is done: a call waits for it."""
    # Traced here: a model's own code may not have thought of threads.
    lowered = program.lower(*arguments)
    compiler = ThreadPoolExecutor(1)
    compiled = compiler.submit(lowered.compile)
    compiler.shutdown(wait=False)

    def call(*arguments: Any) -> Any:
        # From then on the program knows it.
        compiled.result()
        return program(*arguments)

    return call


def _processor() -> str:
    """What a compiler asks of the processor."""
    described = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        described += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return "\n".join(described)
