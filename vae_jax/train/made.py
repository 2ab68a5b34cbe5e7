"""RUN/made.json: what a run from Python maximises, and how, which its config cannot say.

Names tell one function from another, but not one body of it from another. So the file also has numbers that the model
gives where it starts.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax import __version__
from vae_jax.core.errors import ConfigError
from vae_jax.core.examples import over_examples
from vae_jax.core.types import Array, Key
from vae_jax.models.vae import VAE, log_weights
from vae_jax.train.files import MADE, read_json
from vae_jax.train.loop import num_steps
from vae_jax.train.program import initial_state

if TYPE_CHECKING:
    from vae_jax.train.run import Run

# How far into what holds what.
_DEPTH = 10
# Every loss has been traced on so many, `initial_state` does it.
_EXAMPLES = 2
# A share: two numbers of one model differ by less, also in half precision with other versions or on another device.
_CLOSE, _CLOSE_ELSEWHERE = 1e-3, 1e-2
# In nats: what is 0 but for rounding.
_ZERO = 1e-4


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
    before = read_made(directory)
    if before.get("versions") != made["versions"]:
        return
    if changed := [name for name in made if before.get(name) != made[name]]:
        raise ConfigError(f"{directory} holds a run with another {', '.join(changed)}. Name another directory.")


def read_made(directory: Path) -> dict[str, Any]:
    """What a run is made of; {} where the directory does not say. DamagedError where the file is not as it was."""
    if not (directory / MADE).is_file():
        return {}
    return read_json(directory / MADE, "Without that file the run goes on, and what it maximises is not compared.")


def numbers_of(run: Run) -> dict[str, str]:
    """What a model gives where it starts, on the first examples, with a key that is always the same: five digits each.

    `loss`, at the last step, where all terms have their weights, and `slope`, the norm of its gradient: what is times 0
    at the start is seen by it. `log_weight`, of a VAE: the mean of log p(x, z) − log q(z | x), nats.
    """
    system, key = run.system, jax.random.key(0)

    def numbers(first: Any, start: Key) -> dict[str, Array]:
        params = initial_state(system, run.optimizer, run.dataset.prepare_training, first, start).params
        batch = run.dataset.prepare(key, first)
        value_and_grad = jax.value_and_grad(system.loss, has_aux=True)
        (loss, _), gradient = value_and_grad(params, key, batch, jnp.int32(num_steps(run)))
        found = {"loss": loss, "slope": optax.tree.norm(gradient)}
        if isinstance(vae := system.vae, VAE):

            def log_weight(key: Key, x: Any) -> Array:
                return log_weights(vae, params, key, x, num_samples=1)[0]

            found["log_weight"] = jnp.mean(over_examples(log_weight, key, system.example(batch)))
        return found

    first = {name: array[:_EXAMPLES] for name, array in run.dataset.train.batch().items()}
    # So that another device says the same.
    with jax.default_matmul_precision("highest"):
        found = jax.jit(numbers)(first, jax.random.key(run.config.train.seed))
    # JSON has no NaN.
    return {name: f"{float(value):.5g}" for name, value in found.items()}


def check_numbers(directory: Path, run: Run) -> None:
    """ConfigError where a model, or its bound, gives other numbers than that which a directory was trained with.

    Nothing is known of a run of another version of this package, which may draw other noise, nor of one that is from
    before the numbers were kept.
    """
    made = read_made(directory)
    before, versions = made.get("numbers", {}), made.get("versions", "")
    if not before or versions.split(",")[0] != f"vae_jax {__version__}":
        return
    close = _CLOSE if versions == made_of({})["versions"] else _CLOSE_ELSEWHERE
    for name, found in numbers_of(run).items():
        expected = before.get(name, found)
        if not np.isclose(float(found), float(expected), rtol=close, atol=_ZERO, equal_nan=True):
            raise ConfigError(
                f"{directory} holds a run with a model, or a bound, that computes another number: at the start its "
                f"{name} was {expected}, and is {found} now. Go on with the code that it was trained with, or name "
                "another directory."
            )
