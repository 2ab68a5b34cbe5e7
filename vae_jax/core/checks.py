"""The checks that every public function shares: they refuse wrong shapes, keys and counts at trace time."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from vae_jax.core.trees import num_examples


def check_key(where: str, key: Any, shape: Any = ()) -> None:
    """TypeError unless `key` is a typed PRNG key and `shape` a tuple, ValueError unless it is a single key."""
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{where}: shape must be a tuple of sizes, got {shape!r}. For five draws write (5,).")
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        got = f"an array of {key.dtype}" if hasattr(key, "dtype") else repr(key)
        raise TypeError(
            f"{where}: key must be a typed PRNG key, got {got}. Make one with jax.random.key(0), or wrap an "
            "old uint32 key with jax.random.wrap_key_data(key)."
        )
    if key.shape != ():
        raise ValueError(
            f"{where}: key must be a single key, got keys of shape {key.shape}. For a batch: "
            f"jax.vmap over one key per example, from jax.random.split(key, {key.shape[0]})."
        )


def is_known(value: Any) -> bool:
    """Whether a number is concrete. In a sweep it is a tracer, and its values were checked before the trace."""
    return not isinstance(value, Tracer)


def check_count(where: str, name: str, value: Any) -> None:
    """TypeError unless `value` is a static integer, ValueError unless it is at least 1."""
    # An array has an `__index__` too, which only an integer scalar can give.
    if isinstance(value, (bool, jax.Array, np.ndarray)) or not hasattr(value, "__index__"):
        raise TypeError(f"{where}: {name} must be a static integer, got {value!r}.")
    if value.__index__() < 1:
        raise ValueError(f"{where}: {name} must be at least 1, got {value}.")


def check_examples(where: str, stacked: Any) -> int:
    """The number n of examples of a pytree of arrays `[n, …]`. ValueError where n is 0."""
    size = num_examples(stacked)
    if size == 0:
        raise ValueError(f"{where}: there are no examples to evaluate: the dataset is empty.")
    return size


def check_array(where: str, name: str, value: Any, *, rank: int | None = None) -> None:
    """TypeError unless `value` is an array or a number, ValueError unless it has `rank` axes."""
    if not hasattr(value, "dtype") and not isinstance(value, (int, float, complex)):
        raise TypeError(f"{where}: {name} must be an array, got {type(value).__name__}: jnp.asarray({name}).")
    if rank is not None and jnp.ndim(value) != rank:
        axes = "axis" if rank == 1 else "axes"
        raise ValueError(f"{where}: {name} must have {rank} {axes}, got shape {jnp.shape(value)}.")


def check_value(name: str, value: Any, event_shape: tuple[int, ...]) -> None:
    """TypeError unless `value` is an array, ValueError unless it is one event of the distribution `name`."""
    check_array(f"{name}.log_prob", "value", value)
    if jnp.shape(value) != event_shape:
        raise ValueError(
            f"{name}.log_prob: value must be one event of shape {event_shape}, got {jnp.shape(value)}. "
            "For a batch of values: jax.vmap(d.log_prob)(values); for a batch of distributions too, each array of "
            "which has a row for every one: jax.vmap(lambda d, v: d.log_prob(v))(d, values)."
        )


def check_point(where: str, name: str, value: Any, shape: tuple[int, ...]) -> None:
    """TypeError unless `value` is an array, ValueError unless it is one `name` of a bijection's method `where`."""
    check_array(where, name, value)
    if jnp.shape(value) != shape:
        raise ValueError(
            f"{where}: {name} must be one event of shape {shape}, got {jnp.shape(value)}. "
            f"For a batch: jax.vmap(bijection.{where.rpartition('.')[2]})({name})."
        )


def parameter_shape(where: str, *, least_rank: int = 0, **parameters: Any) -> tuple[int, ...]:
    """The shape that the parameters of a distribution broadcast to.

    TypeError unless they are real numbers, ValueError where they do not go together, have less than `least_rank` axes,
    or the last of these is empty.
    """
    for name, value in parameters.items():
        kind = value.dtype if hasattr(value, "dtype") else type(value)
        # NumPy takes its int64 for equal to int.
        if jnp.issubdtype(kind, jnp.floating) if hasattr(value, "dtype") else kind in (int, float):
            continue
        raise TypeError(
            f"{where}: {name} must be real numbers, got {getattr(kind, '__name__', kind)}. Of integers or bits: "
            f"jnp.asarray({name}, float)."
        )
    shapes = {name: jnp.shape(value) for name, value in parameters.items()}
    listed = " and ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
    try:
        shape = jnp.broadcast_shapes(*shapes.values())
    except ValueError:
        raise ValueError(f"{where}: got {listed}, which do not broadcast to one shape.") from None
    if len(shape) < least_rank or (least_rank and shape[-1] < 1):
        raise ValueError(f"{where}: got {listed}; its last axis must have at least one entry.")
    return shape


def check_positive(where: str, **values: Any) -> None:
    """ValueError unless all values are above 0. Under `jit` they are unknown and pass: the result is then NaN."""
    for name, value in values.items():
        if isinstance(value, (Tracer, jax.ShapeDtypeStruct)):
            continue
        if not np.all(np.asarray(value) > 0.0):
            raise ValueError(
                f"{where}: {name} must be greater than 0, got {np.min(np.asarray(value))}. From a network's output: "
                "jnp.exp(out) or jax.nn.softplus(out)."
            )


def check_log_weights(name: str, log_w: Any) -> None:
    """TypeError unless `log_w` is an array, ValueError unless it is a vector of at least one entry."""
    check_array(name, "log_w", log_w)
    shape = jnp.shape(log_w)
    if len(shape) != 1 or shape[0] < 1:
        raise ValueError(
            f"{name}: log_w must have shape (k,) with k >= 1, got {shape}. For a batch: jax.vmap({name})(log_w)."
        )
