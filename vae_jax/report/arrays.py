"""Arrays of a run as files: samples, and codes of data."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vae_jax.core.checks import check_count
from vae_jax.core.errors import RequestError
from vae_jax.core.files import replacing, write_whole
from vae_jax.data import Dataset, binarised, whole, whole_strings
from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.usage import latent_means
from vae_jax.measure.strings import texts
from vae_jax.measure.subject import Subject
from vae_jax.models.vae import typical
from vae_jax.pictures.plots import save_figure, show_images
from vae_jax.train.files import CODES, SAMPLES
from vae_jax.train.run import square_of


def write_samples(subject: Subject, *, count: int, seed: int, out: Path | None) -> list[Path]:
    """`count` draws of x: an .npz with `x`, `mean` (of p(x | z)) and `z`, and a picture of them if x is an image.

    Of a conditional model each x has a `condition` of its own, one of the data's.

    Of strings a .txt file beside it, one on each line.
    """
    check_count("sample", "--count", count)
    subject.check_fitted_prior()
    vae, params, dataset = subject.density, subject.params, subject.run.dataset
    path = _npz(out or subject.run.directory / SAMPLES)
    z_key, x_key = jax.random.split(jax.random.key(seed))
    z = vae.prior(params).sample(z_key, (count,))

    def decode(z: Any, key: Any) -> dict[str, Any]:
        decoded = vae.decode(params, z)
        x = decoded.sample(key)
        if subject.is_conditional:
            return {**x, "mean": typical(decoded.decode(x["condition"]), key)}
        return {"x": x, "mean": typical(decoded, key)}

    arrays = jax.jit(jax.vmap(decode))(z, jax.random.split(x_key, count))
    if dataset.as_counts and np.issubdtype(arrays["x"].dtype, np.floating):
        # Those of a Poisson are floats; a file of floats would be read as real numbers.
        arrays["x"] = np.asarray(arrays["x"]).astype(np.int64)
    x, mean = arrays["x"], arrays["mean"]
    _save_arrays(path, **arrays, **_layers("z", z))
    if subject.grammar is not None:
        text = path.with_suffix(".txt")
        write_whole(text, "\n".join(texts(subject.grammar, x)) + "\n")
        return [path, text]
    if not subject.has_images:
        return [path]
    columns = min(12, count)
    rows = count // columns
    grid = (mean / dataset.most)[: rows * columns].reshape(rows, columns, *mean.shape[1:])
    picture = path.with_suffix(".png")
    save_figure(picture, show_images(grid, title="samples: mean of p(x | z), z from the prior"))
    return [path, picture]


def write_codes(subject: Subject, *, data: str, data_dir: Path | None, out: Path | None) -> Path:
    """The codes of every example of `data`, in its own order (for TFDS: train, then test): an .npz.

    It holds `mean` of q(z | x) (`mean1`, `mean2`, … of several layers), its `stddev` where it has a closed form, and
    `label` and `factors` where there are any.
    Counts in your own file are on the scale that the run was trained on (0..16 for the digits).
    """
    run, trained = subject.run, subject.run.dataset
    path = _npz(out or run.directory / CODES)
    folder = data_dir or run.config.data.data_dir
    if trained.grammar is not None:
        return _write_codes(subject, whole_strings(data, trained, data_dir=folder), path)
    own_file = data.endswith((".npz", ".npy"))
    same: dict[str, Any] = {"data_dir": folder, "seed": trained.seed, "square": square_of(run.config.data)}
    source = whole(data, **same, label=run.config.data.label if data == run.config.data.dataset else None)
    if source.shape != trained.shape:
        raise RequestError(
            f"{run.directory} was trained on examples of shape {trained.shape}, but those of {data} have "
            f"{source.shape}."
        )
    if own_file and source.levels not in (None, 1):
        source = whole(data, **same, levels=trained.source_levels)
    if (source.levels is None) != (trained.source_levels is None):
        kinds = [
            "counts" if levels is not None else "real numbers" for levels in (trained.source_levels, source.levels)
        ]
        raise RequestError(f"{run.directory} was trained on {kinds[0]}, but {data} holds {kinds[1]}.")
    shown = dataclasses.replace(binarised(source, trained.binarisation), as_counts=trained.as_counts)
    return _write_codes(subject, shown, path)


def _write_codes(subject: Subject, shown: Dataset, path: Path) -> Path:
    """The codes of the training split of a dataset that is like the run's own."""
    vae, params = subject.coder, subject.params
    x = subject.prepared(shown, shown.train)
    means = latent_means(vae, params, jax.random.key(shown.seed), x)
    arrays = _layers("mean", means)
    if subject.has_stddev:
        arrays["stddev"] = map_batches(lambda i, x: vae.encode(params, x).stddev, x)
    known = {name: getattr(shown.train, name) for name in ("label", "factors")}
    _save_arrays(path, **arrays, **{name: array for name, array in known.items() if array is not None})
    return path


def _layers(name: str, z: Any) -> dict[str, Any]:
    """`{name: z}`, or `{name1: …, name2: …}` for several layers."""
    layers = jax.tree.leaves(z)
    return {name: z} if len(layers) == 1 else {f"{name}{i}": layer for i, layer in enumerate(layers, 1)}


def _npz(path: Path) -> Path:
    if path.suffix != ".npz":
        raise RequestError(f"--out must end in .npz, got {path}.")
    return path


def _save_arrays(path: Path, **arrays: Any) -> None:
    values: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with replacing(path) as partial:
        np.savez(partial, **values)
