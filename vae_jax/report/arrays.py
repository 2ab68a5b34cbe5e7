"""Arrays of a run as files: samples, and codes of data."""

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.core.arrays import write_arrays
from vae_jax.core.checks import check_count
from vae_jax.core.errors import RequestError
from vae_jax.core.files import check_ending, write_whole
from vae_jax.data import Dataset, Reading, whole_like, whole_strings
from vae_jax.data.columns import raw_values
from vae_jax.data.labels import named
from vae_jax.data.rows import blocks
from vae_jax.data.table import ENDINGS as TABLES
from vae_jax.data.table import write_table
from vae_jax.distributions import FullNormal, Mixture
from vae_jax.evaluate.batched import map_batches
from vae_jax.evaluate.usage import mean_code
from vae_jax.measure.codes import mean_codes
from vae_jax.measure.strings import texts
from vae_jax.measure.subject import Subject
from vae_jax.models.latent import variations
from vae_jax.models.vae import VAE
from vae_jax.pictures.picture import decoded_as
from vae_jax.pictures.plots import save_figure, show_images
from vae_jax.train.files import CODES, SAMPLES, VARIATIONS
from vae_jax.train.outline import manner_of, read_outline
from vae_jax.train.run import Run
from vae_jax.train.source import reading_of

# A density that is fitted to codes after training: of a mixture so many components, to at most so many examples.
Density = Literal["normal", "mixture"]
_COMPONENTS, _DENSITY_EXAMPLES = 10, 20_000
# Images of one picture; all samples are in the arrays beside it.
_MOST_SHOWN = 360


def write_samples(
    subject: Subject,
    *,
    count: int,
    seed: int,
    out: Path | None,
    condition: Sequence[str] = (),
    density: Density | None = None,
    like: int | None = None,
    spread: float = 1.0,
) -> list[Path]:
    """`count` draws of x: an .npz with `x`, `mean` (of p(x | z), where it has one) and `z`, and a picture of images.

    `condition`: a class by its name or number, or the numbers that a conditional model is told; by default each x has a
    `condition` of its own, one of the data's. Beside it, of strings a .txt file, one on each line, and of the rows of a
    table a .csv file with its words and columns. `density`: draw z from one that is fitted to the codes of the training
    examples, as an autoencoder needs, which has no prior. `like`: variations of this test example, from its own
    posterior with its `spread` so many times as wide.
    """
    check_count("sample", "--count", count)
    if like is not None:
        path = check_ending(out or subject.run.directory / VARIATIONS, ".npz")
        return _write_variations(subject, like, spread, count, seed, path)
    if density is not None and (subject.is_conditional or condition):
        raise RequestError("--density is for models of x alone, without --condition.")
    if density is None:
        subject.check_fitted_prior()
        vae = subject.given(condition) if condition else subject.density
    else:
        vae = fitted_density(subject, density, seed)
    params = subject.params
    path = check_ending(out or subject.run.directory / SAMPLES, ".npz")
    z_key, x_key = jax.random.split(jax.random.key(seed))
    z = vae.prior(params).sample(z_key, (count,))

    def decode(i: Any, drawn: tuple[Any, Any]) -> dict[str, Any]:
        del i
        z, key = drawn
        decoded = vae.decode(params, z)
        x = decoded.sample(key)
        if subject.is_conditional and not condition:
            return x | _mean(subject, decoded.decode(x["condition"]))
        return {"x": x} | _mean(subject, decoded)

    arrays = map_batches(decode, (z, jax.random.split(x_key, count)))
    paths = _write_drawn(path, subject, arrays | _layers("z", z))
    if not subject.has_images:
        return paths
    x = arrays["x"]
    source = "the prior" if density is None else f"a {density} fitted to the codes"
    title = f"samples: {decoded_as(subject)} of p(x | z), z from {source}"
    return [path, _save_grid(path, subject, arrays.get("mean", x), title=title)]


def _write_drawn(path: Path, subject: Subject, arrays: dict[str, Any]) -> list[Path]:
    """Arrays with samples `x`, and beside them those of strings as a text, and rows as a table."""
    x = np.asarray(arrays["x"])
    if subject.run.dataset.as_counts and subject.is_discrete and np.issubdtype(x.dtype, np.floating):
        # Those of a Poisson are floats; a file of floats would be read as real numbers.
        x = x.astype(np.int64)
    write_arrays(path, {**arrays, "x": x})
    if columns := subject.run.dataset.columns:
        table = path.with_suffix(".csv")
        write_table(table, {column.name: raw_values(column, x[:, j]) for j, column in enumerate(columns)})
        return [path, table]
    if subject.grammar is None:
        return [path]
    text = path.with_suffix(".txt")
    write_whole(text, "\n".join(texts(subject.grammar, x)) + "\n")
    return [path, text]


def _write_variations(subject: Subject, like: int, spread: float, count: int, seed: int, path: Path) -> list[Path]:
    """Variations of test example `like`: their arrays, and beside the example itself their picture."""
    run, coder, params = subject.run, subject.coder, subject.params
    size = len(run.dataset.test.x)
    if not 0 <= like < size:
        raise RequestError(f"--like is the number of a test example, 0..{size - 1}, got {like}.")
    if subject.code != "vector" or subject.is_conditional:
        raise RequestError(f"--like is for codes that are vectors and say all of x; {run.directory} has others.")
    # Prepared whole, as for measuring, so that these are the bits that the example is measured by.
    x = jax.tree.map(lambda leaf: leaf[like], subject.prepared(run.dataset, run.dataset.test))
    z_key, x_key = jax.random.split(jax.random.key(seed))
    try:
        z = variations(coder.encode(params, x), z_key, count, spread=spread)
    except (TypeError, ValueError) as error:
        raise RequestError(f"--like {like} --spread {spread}: {error}") from error

    def decode(i: Any, drawn: tuple[Any, Any]) -> dict[str, Any]:
        del i
        z, key = drawn
        decoded = coder.decode(params, z)
        return {"x": decoded.sample(key)} | _mean(subject, decoded)

    arrays = map_batches(decode, (z, jax.random.split(x_key, count)))
    paths = _write_drawn(path, subject, {**arrays, "z": z, "like": x})
    if not subject.has_images:
        return paths
    shown = np.concatenate([np.asarray(x)[None], arrays.get("mean", arrays["x"])])
    title = f"variations of test example {like}, top left: codes at {spread:g} times its posterior's spread"
    return [path, _save_grid(path, subject, shown, title=title)]


def _mean(subject: Subject, decoded: Any) -> dict[str, Any]:
    """The mean of p(x | z) as an array of its name, where it has one."""
    return {"mean": decoded.mean} if subject.decodes_to_mean else {}


def _save_grid(path: Path, subject: Subject, x: Any, *, title: str) -> Path:
    """Images `[n, …]` in whole rows, as a picture beside the arrays at `path`; of many the first, as its title says."""
    columns = min(12, len(x))
    rows = min(len(x) // columns, _MOST_SHOWN // columns)
    shown = rows * columns
    if shown < len(x):
        title = f"{title}\nthe first {shown} of {len(x)}"
    grid = subject.run.dataset.shades(np.asarray(x[:shown])).reshape(rows, columns, *x.shape[1:])
    figure = show_images(grid, title=title, photographs=subject.run.dataset.photographs)
    return save_figure(path.with_suffix(".png"), figure)


def fitted_density(subject: Subject, density: Density, seed: int) -> VAE:
    """The model of an autoencoder whose codes have a density that was fitted to those of the training examples.

    "normal" is one normal, "mixture" ten of them, with full covariances. RequestError unless a code is a vector.
    """
    from sklearn.mixture import GaussianMixture

    if subject.code != "vector" or subject.is_direction:
        raise RequestError(
            f"--density is for codes that are vectors, of any length; those of {subject.run.directory} are not."
        )
    run = subject.run
    codes = mean_codes(subject, subject.prepared(run.dataset, run.dataset.train.take(slice(_DENSITY_EXAMPLES))))
    components = min(1 if density == "normal" else _COMPONENTS, len(codes))
    found: Any = GaussianMixture(components, reg_covar=1e-4 * float(codes.var()), random_state=seed).fit(codes)
    parts = FullNormal(
        jnp.asarray(found.means_, jnp.float32), jnp.asarray(np.linalg.cholesky(found.covariances_), jnp.float32)
    )
    prior = Mixture(jnp.asarray(np.log(found.weights_), jnp.float32), parts)
    return VAE(subject.coder.encode, subject.coder.decode, lambda params: prior)


def write_codes(subject: Subject, *, data: str, data_dir: Path | None, out: Path | None) -> Path:
    """The codes of every example of `data`: an .npz, or a table.

    They are in its own order; splits in files of their own follow each other as train, validation, test.

    The .npz holds `mean` of q(z | x) (`mean1`, `mean2`, … of several layers), its `stddev` where it has a closed
    form, and `label` and `factors` where there are any; a .csv or .parquet file the columns `mean0`, `mean1`, ….
    Numbers are read as the run reads its own (0..16 for the digits), so a code does not depend on what else is in
    the file. RequestError or ValueError where the examples are of another kind.
    """
    run = subject.run
    path = check_ending(out or run.directory / CODES, ".npz", ".csv", ".parquet")
    return _write_codes(subject, examples_like(subject, data, data_dir), path)


def examples_like(subject: Subject, data: str, data_dir: Path | None) -> Dataset:
    """All examples of `data` as the training split of a dataset that is read as the run reads its own.

    RequestError or ValueError where they are of another kind.
    """
    run, trained = subject.run, subject.run.dataset
    folder = data_dir or run.config.data.data_dir
    if trained.grammar is not None:
        return whole_strings(data, trained, data_dir=folder)
    reading = reading_of_run(run)
    if len(trained.shape) == 3 and reading.colour is None:
        # What else lies in their folder made the run's own images grey or coloured.
        reading = reading._replace(colour="grey" if trained.shape[2] == 1 else "colour")
    # Another table has the same column of labels, or none; other data have labels of their own.
    same = run.config.data.dataset in (data, str(Path(data).expanduser().absolute())) or data.endswith(TABLES)
    source = whole_like(data, trained, reading if same else reading._replace(label=None), data_dir=folder)
    if source.shape != trained.shape:
        raise RequestError(
            f"{run.directory} was trained on examples of shape {trained.shape}, but those of {data} have "
            f"{source.shape}."
        )
    _check_conditions(subject, source)
    _check_classes(subject, source)
    _warn_of_range(subject, source)
    # The bits of other examples were not drawn yet, also where those of the run were drawn once.
    binarisation = "none" if trained.binarisation == "none" else "dynamic"
    return dataclasses.replace(source, binarisation=binarisation, as_counts=trained.as_counts, units=trained.units)


def reading_of_run(run: Run) -> Reading:
    """How the data of a run are read, and others that its model is given."""
    return reading_of(run.config)._replace(gap_words=manner_of(run.directory)["gap_words"])


def _check_conditions(subject: Subject, source: Dataset) -> None:
    """RequestError where conditions have another shape than those that the model was told."""
    trained = subject.run.dataset.train.condition
    given = source.train.condition
    if trained is not None and given is not None and given.shape[1:] != trained.shape[1:]:
        raise RequestError(
            f"{subject.run.directory} is told a condition of shape {trained.shape[1:]}, but those of {source.name} "
            f"have {given.shape[1:]}."
        )


def _check_classes(subject: Subject, source: Dataset) -> None:
    """RequestError where a model that is told classes is not told one that it knows."""
    conditions, label = subject.run.system.conditions, source.train.label
    if not subject.is_conditional or conditions is None or label is None or source.train.condition is not None:
        return
    # Names are numbers only of the model that was told these names.
    same_names = (source.classes is None) == (subject.run.dataset.classes is None)
    unknown = np.flatnonzero((label < 0) | (label >= conditions.shape[1]) | (not same_names))
    if len(unknown):
        raise RequestError(
            f"{subject.run.directory} is told the class of every example, but {len(unknown)} of {len(label)} of "
            f"{source.name}, row {unknown[0]} the first, have none that it knows. Leave those examples out."
        )


def _warn_of_range(subject: Subject, source: Dataset) -> None:
    """A warning where real numbers are of another scale than those that the model was trained on."""
    outline = read_outline(subject.run.directory)
    if outline is None or source.levels is not None or source.columns is not None:
        return
    # The least and largest that are numbers, of rows that stay in their file a block at a time.
    ends = [(np.fmin.reduce(x, axis=None), np.fmax.reduce(x, axis=None)) for x in blocks(source.train.x)]
    lowest, highest = np.fmin.reduce([low for low, _ in ends]), np.fmax.reduce([high for _, high in ends])
    least, most = outline["range"]
    room = 2.0 * (most - least)
    if lowest < least - room or highest > most + room:
        warnings.warn(
            f"the examples hold values {lowest:.3g}..{highest:.3g}, but {subject.run.directory} was "
            f"trained on values {least:.3g}..{most:.3g}: give them the scale of those.",
            stacklevel=3,
        )


def _write_codes(subject: Subject, shown: Dataset, path: Path) -> Path:
    """The codes of the training split of a dataset that is like the run's own."""
    vae, params, key = subject.coder, subject.params, jax.random.key(shown.seed)

    def code(i: Any, x: Any) -> dict[str, Any]:
        posterior = vae.encode(params, x)
        stddev = {"stddev": posterior.stddev} if subject.has_stddev else {}
        return {"mean": mean_code(posterior, jax.random.fold_in(key, i))} | stddev

    # Read, prepared and encoded a batch at a time: all examples as floats may not fit the memory.
    codes = map_batches(code, shown.train, prepare=lambda rows: subject.seen(shown, rows))
    arrays = _layers("mean", codes.pop("mean")) | codes
    label, factors = shown.train.label, shown.train.factors
    known = {"label": None if label is None else named(label, shown.classes), "factors": factors}
    arrays |= {name: array for name, array in known.items() if array is not None}
    if path.suffix == ".npz":
        write_arrays(path, arrays)
    else:
        write_table(path, _as_columns(arrays))
    return path


def _as_columns(arrays: dict[str, Any]) -> dict[str, list[Any]]:
    """Arrays `[n]` and `[n, …]` as columns: `label`, `mean0`, `mean1`, …; of layers `mean1_0`, …"""
    columns = {}
    for name, array in arrays.items():
        flat = np.asarray(array).reshape(len(array), -1)
        # Number 10 of layer 1 is not number 0 of layer 11.
        between = "_" if name[-1].isdigit() else ""
        names = [name] if np.ndim(array) == 1 else [f"{name}{between}{j}" for j in range(flat.shape[1])]
        columns |= dict(zip(names, flat.T.tolist(), strict=True))
    return columns


def _layers(name: str, z: Any) -> dict[str, Any]:
    """`{name: z}`, or `{name1: …, name2: …}` for several layers."""
    layers = jax.tree.leaves(z)
    return {name: z} if len(layers) == 1 else {f"{name}{i}": layer for i, layer in enumerate(layers, 1)}
