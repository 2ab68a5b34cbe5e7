"""A trained model as files that need nothing of this package: programs, parameters, and a card that says what they are.

DIR/encode.jaxexport, decode…, sample…, log_marginal…   compiled anywhere by `jax.export`, for any batch size
DIR/params.safetensors, params.json                     the parameters, and the tree that they are
DIR/README.md, config.json, evaluation.json             what the model is, and what was measured
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export as jax_export

from vae_jax import __version__
from vae_jax.core.errors import RequestError
from vae_jax.core.files import replacing, write_json, write_whole
from vae_jax.core.text import read_text
from vae_jax.core.trees import by_name, first_example
from vae_jax.evaluate.likelihood import log_marginal
from vae_jax.evaluate.usage import mean_code
from vae_jax.measure.evaluation import own_evaluation
from vae_jax.measure.subject import Subject
from vae_jax.models.vae import typical
from vae_jax.report.card import model_card
from vae_jax.train.files import CONFIG, evaluation_file

# One file runs on all of them.
PLATFORMS = ("cpu", "cuda", "tpu")
ENDING = ".jaxexport"
PARAMETERS, TREE, CARD = "params.safetensors", "params.json", "README.md"
# Samples per chunk of log p(x).
_CHUNK = 100
_PROGRAMS = ("encode", "decode", "sample", "log_marginal")


def write_export(subject: Subject, out: Path, *, k: int) -> list[Path]:
    """Write everything into the folder `out`, which is made; returns the paths.

    RequestError where the model has no codes, or is told a condition.
    """
    if subject.is_conditional:
        raise RequestError(
            f"the model of {subject.run.directory} is told a condition. Export is for models of x alone; in Python "
            "vj.open_run(RUN).run.system.given(condition) is one."
        )
    measured, paths = own_evaluation(subject), []
    evaluation = out / evaluation_file(subject.run.directory).name
    for name, (function, inputs) in programs(subject, k).items():
        paths.append(_write_program(out / f"{name}{ENDING}", function, inputs))
    paths += write_parameters(out, subject.params)
    write_whole(out / CONFIG, read_text(subject.run.directory / CONFIG))
    paths.append(out / CONFIG)
    if measured:
        write_json(evaluation, measured)
        paths.append(evaluation)
    write_whole(out / CARD, model_card(subject, measured, k=k, version=__version__))
    # What an export before this one wrote would not be of these parameters.
    before = {out / f"{name}{ending}" for name in _PROGRAMS for ending in (ENDING, ".onnx")} | {evaluation}
    if out.absolute() != subject.run.directory.absolute():
        for path in before - set(paths):
            path.unlink(missing_ok=True)
    return [*paths, out / CARD]


def programs(subject: Subject, k: int) -> dict[str, tuple[Callable[..., Any], tuple[jax.ShapeDtypeStruct, ...]]]:
    """The functions of a batch that a model has, by name, with what they take; their parameters are inside.

    `encode(x) -> {mean, stddev}`, `decode(z) -> mean` of p(x | z) (a sample with seed 0 where that has none),
    `sample(seeds) -> x`, and `log_marginal(seeds, x)`, importance-weighted with `k` draws, nats. Seeds are uint32, one
    for each example. Where q(z | x) has no mean in closed form, `mean` is what `mean_code` makes of 1000 draws.
    """
    params, coder = subject.params, subject.coder
    batch = jax_export.symbolic_shape("b")
    x, z = (
        jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((*batch, *leaf.shape), leaf.dtype), one)
        for one in (jax.eval_shape(first_example, subject.examples), subject.z)
    )
    seeds = jax.ShapeDtypeStruct(batch, np.uint32)

    def encode(x: Any) -> dict[str, Any]:
        posterior = coder.encode(params, x)
        code = {"mean": mean_code(posterior, jax.random.key(0))}
        return code | ({"stddev": posterior.stddev} if subject.has_stddev else {})

    def decode(z: Any) -> Any:
        return typical(coder.decode(params, z), jax.random.key(0))

    found: dict[str, Any] = {"encode": (jax.vmap(encode), (x,)), "decode": (jax.vmap(decode), (z,))}
    if subject.has_fitted_prior:
        vae = subject.density

        def sample(seed: Any) -> Any:
            z_key, x_key = jax.random.split(jax.random.key(seed))
            return vae.decode(params, vae.prior(params).sample(z_key)).sample(x_key)

        found["sample"] = (jax.vmap(sample), (seeds,))
    if subject.has_density:
        vae = subject.density

        def likelihood(seed: Any, x: Any) -> Any:
            key = jax.random.key(seed)
            return log_marginal(vae, params, key, x, num_samples=k, chunk_size=min(k, _CHUNK)).value

        found["log_marginal"] = (jax.vmap(likelihood), (seeds, x))
    return found


def _write_program(path: Path, function: Callable[..., Any], inputs: tuple[Any, ...]) -> Path:
    exported = jax_export.export(jax.jit(function), platforms=PLATFORMS)(*inputs)
    with replacing(path) as partial:
        partial.write_bytes(exported.serialize())
    return path


def write_parameters(out: Path, params: Any) -> list[Path]:
    """`params.safetensors`, an array for each leaf by its path, and `params.json`, the shape and type of each."""
    from safetensors.numpy import save_file

    leaves = {name: np.asarray(leaf, order="C") for name, leaf in by_name(params).items()}
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / PARAMETERS) as partial:
        save_file(leaves, partial)
    write_json(out / TREE, {name: {"shape": leaf.shape, "dtype": str(leaf.dtype)} for name, leaf in leaves.items()})
    return [out / PARAMETERS, out / TREE]
