"""RUN/made.json: what a run from Python maximises, and how, which its config cannot say."""

import dataclasses
import functools
import inspect
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax import __version__
from vae_jax.core.errors import ConfigError
from vae_jax.train.files import MADE, read_json

# How far into what holds what.
_DEPTH = 10


def described(part: Any) -> str:
    """A function, or what is made of functions and numbers, in words that are the same in another process.

    A function is its name and what it holds, `dreg.<locals>.estimate(bound=iwae)`, without its code and its address.
    """
    return _described(part, ())


def _described(part: Any, above: tuple[int, ...]) -> str:
    if id(part) in above or len(above) > _DEPTH:
        return "…"

    def inner(value: Any) -> str:
        return _described(value, (*above, id(part)))

    def named(values: Mapping[str, Any]) -> str:
        return ", ".join(f"{name}={inner(value)}" for name, value in values.items())

    if part is None or isinstance(part, str | int | float | bool):
        return repr(part)
    if isinstance(part, np.generic):
        return repr(part.item())
    if isinstance(part, np.ndarray | jax.Array):
        return f"{part.dtype}{part.shape}#{_digest(part)}"
    if isinstance(part, functools.partial):
        return f"{inner(part.func)}({', '.join(map(inner, part.args))}; {named(part.keywords)})"
    if isinstance(part, tuple | list):
        return f"{type(part).__name__}({', '.join(map(inner, part))})"
    if isinstance(part, Mapping):
        return f"{type(part).__name__}({named({str(name): value for name, value in part.items()})})"
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        fields = {field.name: getattr(part, field.name, None) for field in dataclasses.fields(part)}
        return f"{type(part).__name__}({named(fields)})"
    if inspect.ismethod(part):
        return f"{part.__qualname__}({inner(part.__self__)})"
    function = inspect.unwrap(part) if callable(part) else part
    if inspect.isfunction(function):
        held = _held(function)
        return f"{function.__qualname__}({named(held)})" if held else function.__qualname__
    if type(part).__module__.startswith("optax"):
        return f"{type(part).__name__}({named(vars(part))})"
    return getattr(part, "__qualname__", type(part).__name__)


def _held(function: Any) -> dict[str, Any]:
    """What a function holds of the place where it was made, and its defaults, by name."""
    held = {f"default {i}": value for i, value in enumerate(function.__defaults__ or ())}
    held |= function.__kwdefaults__ or {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        # A cell is empty while what it is for is still being made.
        with suppress(ValueError):
            held[name] = cell.cell_contents
    return held


def _digest(array: Any) -> str:
    is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return f"{zlib.crc32(np.asarray(jax.random.key_data(array) if is_key else array).tobytes()):08x}"


def made_of(parts: Mapping[str, Any]) -> dict[str, str]:
    """What a run is made of, by name, with the versions and the device that it is made with."""
    device = jax.devices()[0].device_kind
    versions = f"vae_jax {__version__}, optax {optax.__version__}, jax {jax.__version__}, {device}"
    return {"versions": versions} | {name: described(part) for name, part in parts.items()}


def check_made(directory: Path, made: Mapping[str, str]) -> None:
    """ConfigError where a directory holds a run of another model, estimate, optimiser or start.

    Where it was made with other versions or on another device nothing is known, as names and last digits may differ.
    """
    if not (directory / MADE).is_file():
        return
    before = read_json(directory / MADE, "Without that file the run goes on, and what it maximises is not compared.")
    if before.get("versions") != made["versions"]:
        return
    if changed := [name for name in made if before.get(name) != made[name]]:
        raise ConfigError(f"{directory} holds a run with another {', '.join(changed)}. Name another directory.")
