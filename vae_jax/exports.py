"""Arrays of a run as files: samples and codes; and the scores of codes in a file."""

import dataclasses
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Group
from rich.text import Text

from vae_jax.atomic import replacing, write_whole
from vae_jax.checks import check_count
from vae_jax.config import ConfigError
from vae_jax.data import Dataset, binarised, whole, whole_strings
from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.collapse import latent_means
from vae_jax.measure import coder, density, encode_one, prepared
from vae_jax.measure_codes import score
from vae_jax.measure_strings import texts
from vae_jax.model import Params, typical
from vae_jax.plots import show_images
from vae_jax.report import SCORES, sections
from vae_jax.train.run import Run, square_of


def write_samples(run: Run, params: Params, *, count: int, seed: int, out: Path | None) -> list[Path]:
    """`count` draws of x: an .npz with `x`, `mean` (of p(x | z)) and `z`, and a picture of them if x is an image.

    Of a conditional model each x has a `condition` of its own, one of the data's.

    Of strings a .txt file beside it, one on each line.
    """
    check_count("sample", "--count", count)
    path = _npz(out or run.directory / "samples.npz")
    vae = density(run)
    z_key, x_key = jax.random.split(jax.random.key(seed))
    z = vae.prior(params).sample(z_key, (count,))

    def decode(z: Any, key: Any) -> dict[str, Any]:
        decoded = vae.decode(params, z)
        x = decoded.sample(key)
        if isinstance(x, dict):
            return {**x, "mean": typical(decoded.decode(x["condition"]), key)}
        return {"x": x, "mean": typical(decoded, key)}

    arrays = jax.jit(jax.vmap(decode))(z, jax.random.split(x_key, count))
    x, mean = arrays["x"], arrays["mean"]
    _save_arrays(path, **arrays, **_layers("z", z))
    if run.dataset.grammar is not None:
        text = path.with_suffix(".txt")
        write_whole(text, "\n".join(texts(run.dataset.grammar, x)) + "\n")
        return [path, text]
    if not run.dataset.is_image:
        return [path]
    columns = min(12, count)
    rows = count // columns
    grid = (mean / run.dataset.most)[: rows * columns].reshape(rows, columns, *mean.shape[1:])
    picture = path.with_suffix(".png")
    show_images(grid, title="samples: mean of p(x | z), z from the prior").savefig(picture, dpi=150)
    return [path, picture]


def write_codes(run: Run, params: Params, *, data: str, data_dir: Path | None, out: Path | None) -> Path:
    """The codes of every example of `data`, in its own order (for TFDS: train, then test): an .npz.

    It holds `mean` of q(z | x) (`mean1`, `mean2`, … of several layers), its `stddev` where it has a closed form, and
    `label` and `factors` where there are any.
    Counts in your own file are on the scale that the run was trained on (0..16 for the digits).
    """
    path = _npz(out or run.directory / "codes.npz")
    trained = run.dataset
    folder = data_dir or run.config.data.data_dir
    if trained.grammar is not None:
        return _write_codes(run, params, whole_strings(data, trained, data_dir=folder), path)
    own_file = data.endswith((".npz", ".npy"))
    same: dict[str, Any] = {"data_dir": folder, "seed": trained.seed, "square": square_of(run.config.data)}
    source = whole(data, **same, label=run.config.data.label if data == run.config.data.dataset else None)
    if source.shape != trained.shape:
        raise ConfigError(
            f"{run.directory} was trained on examples of shape {trained.shape}, but those of {data} have "
            f"{source.shape}."
        )
    if own_file and source.levels not in (None, 1):
        source = whole(data, **same, levels=trained.source_levels)
    if (source.levels is None) != (trained.source_levels is None):
        kinds = [
            "counts" if levels is not None else "real numbers" for levels in (trained.source_levels, source.levels)
        ]
        raise ConfigError(f"{run.directory} was trained on {kinds[0]}, but {data} holds {kinds[1]}.")
    shown = dataclasses.replace(binarised(source, trained.binarisation), as_counts=trained.as_counts)
    return _write_codes(run, params, shown, path)


def _write_codes(run: Run, params: Params, shown: Dataset, path: Path) -> Path:
    """The codes of the training split of a dataset that is like the run's own."""
    vae = coder(run)
    x = prepared(run, shown, shown.train)
    means = latent_means(vae, params, jax.random.key(run.dataset.seed), x)
    arrays = _layers("mean", means)
    if hasattr(type(encode_one(vae, params, x)), "stddev"):
        arrays["stddev"] = map_batches(lambda i, x: vae.encode(params, x).stddev, x)
    known = {name: getattr(shown.train, name) for name in ("label", "factors")}
    _save_arrays(path, **arrays, **{name: array for name, array in known.items() if array is not None})
    return path


def score_files(codes: Path, factors: Path | None) -> tuple[Group, dict[str, Any]]:
    """The table and the scores of codes `[n, d]` in a file against the factors `[n, f]` in another.

    `codes`: `.npy`, or the `.npz` of `write_codes`, whose own factors are taken where no file is named. ConfigError or
    ValueError where there is nothing to score.
    """
    arrays = _read_arrays(codes, "mean")
    if factors is not None:
        arrays |= {"factors": _read_arrays(factors, "factors")["factors"]}
    if missing := [name for name in ("mean", "factors") if name not in arrays]:
        raise ConfigError(
            f"{codes} holds no array {missing[0]!r}. Give codes [n, d] and factors [n, f] as two .npy files: vae-jax "
            "score CODES FACTORS."
        )
    found = score(arrays["mean"], arrays["factors"])
    return Group(Text(str(codes), style="bold"), *sections(found, [SCORES])), found


def _read_arrays(path: Path, name: str) -> dict[str, Any]:
    if path.suffix not in (".npy", ".npz"):
        raise ConfigError(f"{path} must end in .npy, or .npz where it is of vae-jax encode.")
    try:
        loaded = np.load(path, allow_pickle=False)
        return {name: loaded} if path.suffix == ".npy" else dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} cannot be read as a {path.suffix} file of numbers.") from error


def _layers(name: str, z: Any) -> dict[str, Any]:
    """`{name: z}`, or `{name1: …, name2: …}` for a tuple of layers."""
    return {f"{name}{i}": layer for i, layer in enumerate(z, 1)} if isinstance(z, tuple) else {name: z}


def _npz(path: Path) -> Path:
    if path.suffix != ".npz":
        raise ConfigError(f"--out must end in .npz, got {path}.")
    return path


def _save_arrays(path: Path, **arrays: Any) -> None:
    values: dict[str, Any] = {name: np.asarray(array) for name, array in arrays.items()}
    with replacing(path) as partial:
        np.savez(partial, **values)
