"""Compiled functions that run seldom, so that most of their time is that of the compiler."""

import os
from collections.abc import Callable
from typing import Any

import jax

# Of LLVM's levels. The default, 3, takes twice as long, for programs that are hardly faster.
_LEVEL, _SETTING = 1, "xla_backend_optimization_level"


def jit_seldom(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """`jax.jit(function, **options)`, which on a CPU is compiled sooner, and may run a little slower.

    Where XLA_FLAGS names a level it is that one.
    """
    if jax.default_backend() == "cpu" and _SETTING not in os.environ.get("XLA_FLAGS", ""):
        options |= {"compiler_options": {_SETTING: _LEVEL}}
    return jax.jit(function, **options)
