"""vae_jax: the functional toolkit for variational autoencoders on JAX and Flax."""

import importlib
import sys
import types
from typing import Any

import lazy_loader

__version__ = "0.2.0"

# The public names stand in `__init__.pyi`. Each is loaded when it is asked for, so that `vae-jax --help` needs no jax.
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    # A room of the package is there without being imported, as vj.evaluate.
    if name not in __all__ and not name.startswith("_"):
        try:
            return importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            # A room may itself want what is not installed.
            if error.name != f"{__name__}.{name}":
                raise
    try:
        return _public(name)
    except AttributeError as error:
        # Here, so that `import vae_jax` does not load it.
        import difflib

        close = [known for known in __all__ if known.lower() == name.lower()] or difflib.get_close_matches(
            name, __all__
        )
        if not close or name.startswith("_"):
            raise
        raise AttributeError(f"{error}. Did you mean {' or '.join(close)}?") from None


def _of_grammar(name: str) -> Any:
    # Who looks through all modules asks for names as `__file__`, and shall not load it.
    if name.startswith("__"):
        raise AttributeError(f"module {_grammar.__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("vae_jax.languages.grammar"), name)


# Programs that were written for 0.1.0 import the grammars from there.
_grammar = types.ModuleType(f"{__name__}.grammar", "See `vae_jax.languages.grammar`.")
_grammar.__getattr__ = _of_grammar
sys.modules[_grammar.__name__] = _grammar
