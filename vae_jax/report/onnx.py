"""Encoder and decoder as ONNX, by jax2onnx."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.extend.core
from jax.errors import InconclusiveDimensionOperation

from vae_jax.core.errors import RequestError
from vae_jax.core.files import replacing
from vae_jax.measure.subject import Subject
from vae_jax.report.export import programs

# jax2onnx asks for an older Orbax than this package does, though it converts without: so it is no extra.
RECIPE = "pip install --no-deps jax2onnx onnx-ir && pip install onnx onnxruntime sympy"


def write_onnx(subject: Subject, out: Path) -> list[Path]:
    """`encode.onnx` and `decode.onnx`, for any batch size.

    ImportError with a recipe where jax2onnx is not installed. RequestError where it knows no form of an operation.
    """
    # It warns of each of its own examples whose libraries are not there.
    logging.getLogger("jax2onnx").setLevel(logging.ERROR)
    try:
        import jax2onnx  # pyright: ignore[reportMissingImports]
        from onnx import save  # pyright: ignore
    except ImportError as error:
        raise ImportError(f"--onnx needs jax2onnx: {RECIPE}") from error

    found, paths = programs(subject, 1), []
    for name in ("encode", "decode"):
        function, inputs = found[name]
        path = out / f"{name}.onnx"
        try:
            try:
                model = _converted(jax2onnx.to_onnx, function, inputs)
            except InconclusiveDimensionOperation:
                # Its form of a padding, which convolutions have, wants all sizes to be known: so they are, in a loop.
                model = _converted(jax2onnx.to_onnx, _one_by_one(function), inputs)
        except Exception as error:
            raise RequestError(f"jax2onnx cannot convert {name} of {subject.run.directory}: {error}") from error
        with replacing(path) as partial:
            save(model, partial)
        paths.append(path)
    return paths


def _converted(to_onnx: Callable[..., Any], function: Callable[..., Any], inputs: Sequence[Any]) -> Any:
    # As a jaxpr: jax2onnx has forms of its own for Flax modules, which know no vmap.
    plain = jax.extend.core.jaxpr_as_fun(jax.make_jaxpr(function)(*inputs))
    return to_onnx(plain, jax.tree.leaves(inputs))


def _one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function of a batch, as a loop over its examples."""

    def of_one(inputs: Any) -> Any:
        return jax.tree.map(lambda found: found[0], function(*jax.tree.map(lambda x: x[None], inputs)))

    return lambda *inputs: jax.lax.map(of_one, inputs)
