"""Compiled programs, kept between commands: the second `vae-jax train` of a model starts at once."""

import hashlib
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

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


def _processor() -> str:
    """What a compiler asks of the processor."""
    described = [platform.machine(), platform.processor()]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        described += sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return "\n".join(described)
