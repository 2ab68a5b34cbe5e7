"""The pictures of a run: what fits its model and data, drawn into RUN/pictures."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax.data.labels import named
from vae_jax.evaluate.usage import kl_per_dimension, latent_means
from vae_jax.measure.subject import Subject
from vae_jax.models.latent import manifold_grid, traverse
from vae_jax.models.vae import typical
from vae_jax.pictures import plots
from vae_jax.pictures.decoded import decoded, drawn, images
from vae_jax.pictures.layers import LAYERS
from vae_jax.pictures.paths import PATHS
from vae_jax.pictures.picture import MOST_EXAMPLES, Picture, Shown, decoded_as, draws_vectors, shows_images
from vae_jax.pictures.plots import save_figures
from vae_jax.pictures.strings import INTERPOLATION, NEIGHBOURHOOD
from vae_jax.train.files import PICTURES as FOLDER
from vae_jax.train.files import read_metrics

# Pictures show this many examples in a row.
_COLUMNS = 12
# Traversals show the dimensions that say most.
_ROWS = 10
# Share of the codes on each side that a traversal leaves out.
_INNER = 0.02


def write_pictures(subject: Subject, further: tuple[Picture, ...] = ()) -> list[Path]:
    """Draw every picture that suits the model and its data, and of `further` ones, into RUN/pictures: their paths."""
    test = subject.run.dataset.test.take(slice(MOST_EXAMPLES))
    x = subject.prepared(subject.run.dataset, test)
    means = latent_means(subject.coder, subject.params, jax.random.key(0), x) if subject.has_codes else None
    shown = Shown(test, x, means)
    pictures = [picture for picture in (*PICTURES, *further) if picture.suits(subject)]
    figures = {picture.name: figure for picture in pictures if (figure := _drawn(picture, subject, shown)) is not None}
    text = _caption(subject)
    for figure in figures.values():
        plots.caption(figure, text)
    return save_figures(subject.run.directory / FOLDER, figures)


def _drawn(picture: Picture, subject: Subject, shown: Shown) -> Figure | None:
    """The picture; None, with a warning, where it fails: the others, and all that was measured, are worth more."""
    try:
        return picture.draw(subject, shown)
    except (ValueError, TypeError, IndexError) as error:
        warnings.warn(f"the picture {picture.name} was not drawn: {error}", stacklevel=3)
        return None


def _caption(subject: Subject) -> str:
    """Which run this is, and how far it came."""
    epoch = subject.progress["parameters_of_epoch"]
    text = f"{subject.run.directory.name}, epoch {epoch}"
    for line in read_metrics(subject.run.directory):
        if line["epoch"] == epoch:
            split = "validation" if line["validation"] else "train"
            name = followed(line)
            text += f", {split} {followed_name(subject, name)} {line[split][name]:.2f} nats"
    return text


def followed(line: Mapping[str, Any]) -> str:
    """What is shown of a line of metrics, here as on the screen: the bound, or the loss where there is none."""
    return "bound" if "bound" in line["train"] else "loss"


def followed_name(subject: Subject, name: str) -> str:
    """What that is called: the bound's own name, where the config has it."""
    return subject.bound_name if name == "bound" else "loss"


def _training_curve(subject: Subject, shown: Shown) -> Figure:
    del shown
    lines = read_metrics(subject.run.directory)
    name = followed(lines[0])
    return plots.training_curve(
        [(line["epoch"], line["train"][name]) for line in lines],
        [(line["epoch"], line["validation"][name]) for line in lines if line["validation"]],
        best=subject.progress["parameters_of_epoch"],
        name=f"{followed_name(subject, name)} (nats per example)",
    )


def _reconstructions(subject: Subject, shown: Shown) -> Figure:
    dataset, (test, x, means) = subject.run.dataset, shown
    columns = min(_COLUMNS, len(x))
    rows = min(3, len(x) // columns)
    count = columns * rows
    means = jax.tree.map(lambda layer: layer[:count], means)
    parts = {"data": dataset.shades(x[:count]), "decoded": decoded(subject, means)}
    if dataset.is_binary:
        parts = {"data": dataset.intensities(test.x[:count]), "its bits": parts["data"], "decoded": parts["decoded"]}
    grid = np.stack([np.asarray(part).reshape(rows, columns, *part.shape[1:]) for part in parts.values()], axis=1)
    title = f"reconstructions: {decoded_as(subject)} of p(x | z) at the mean of q(z | x)"
    title += "; the model sees the bits" if dataset.is_binary else ""
    return images(subject, grid.reshape(-1, *grid.shape[2:]), title=title, row_names=[*parts] * rows)


def _denoised(subject: Subject, shown: Shown) -> Figure:
    """Test examples, the same spoilt as in training, and what the model makes of those."""
    corrupt = subject.run.system.corrupt
    assert corrupt is not None
    x = jax.tree.map(lambda leaf: leaf[:_COLUMNS], shown.x)
    spoilt = corrupt(jax.random.key(0), x)
    means = latent_means(subject.coder, subject.params, jax.random.key(0), spoilt)
    shades = subject.run.dataset.shades
    grid = np.stack([np.asarray(part) for part in (shades(x), shades(spoilt), decoded(subject, means))])
    title = f"{decoded_as(subject)} of p(x | z) at the mean code of what is spoilt"
    return images(subject, grid, title=title, row_names=["data", "spoilt", "decoded"])


def _code_maps(subject: Subject, shown: Shown) -> Figure:
    """Examples above the numbers of their codes, as shades: the same shade is the same code."""
    x, grids = shown.x, jax.tree.leaves(shown.means)
    columns = min(_COLUMNS, len(x))
    height, width = subject.run.dataset.shape[:2]
    rows = [np.asarray(subject.run.dataset.shades(x[:columns]))]
    for codes in grids:
        shades = np.asarray(codes[:columns, ..., None] / max(int(codes.max()), 1))
        rows.append(np.repeat(np.repeat(shades, height // codes.shape[1], axis=1), width // codes.shape[2], axis=2))
    if rows[0].shape[-1] > 1:
        rows[1:] = [np.repeat(shades, rows[0].shape[-1], axis=-1) for shades in rows[1:]]
    names = ["data"] + [f"codes {codes.shape[1]}x{codes.shape[2]}" for codes in grids]
    return images(subject, np.stack(rows), title="codes of test examples, a shade for each", row_names=names)


def _samples(subject: Subject, shown: Shown) -> Figure:
    del shown
    rows = 6
    z = subject.density.prior(subject.params).sample(jax.random.key(0), (rows * _COLUMNS,))
    shown_as = drawn(subject, z)
    grid = shown_as.reshape(rows, _COLUMNS, *shown_as.shape[1:])
    return images(subject, grid, title=f"samples: {decoded_as(subject)} of p(x | z), z from the prior")


def _conditions(subject: Subject, shown: Shown) -> Figure:
    """One key a row, one condition a column: each class, or some numbers in the order of the first.

    A key is the same z under every condition, or, where z depends on it, what the same noise gives.
    """
    del shown
    params, given = subject.params, subject.run.system.given
    conditions, classes = np.asarray(subject.run.system.conditions), subject.run.system.tells_classes
    of = ""
    if len(conditions) > _COLUMNS:
        in_order = np.arange(len(conditions)) if classes else np.argsort(conditions[:, 0], kind="stable")
        of = f" of {len(conditions)}"
        conditions = conditions[in_order[np.linspace(0, len(conditions) - 1, _COLUMNS).astype(int)]]
    key = jax.random.key(1)

    def one(z_key: Any, y: Any) -> Any:
        vae = given(y)  # pyright: ignore[reportOptionalCall]
        return typical(vae.decode(params, vae.prior(params).sample(z_key)), key)

    keys = jax.random.split(jax.random.key(0), 6)
    grid = jax.jit(jax.vmap(lambda z_key: jax.vmap(lambda y: one(z_key, y))(conditions)))(keys)
    grid = subject.run.dataset.shades(np.asarray(grid))
    names = named(np.argmax(conditions, axis=1), subject.run.dataset.classes) if classes else conditions[:, 0]
    shown_as = [str(name) if classes else f"{name:.3g}" for name in names]
    title = f"samples of each condition (columns{of and f', {_COLUMNS}{of}'}), the same z in a row"
    return images(subject, grid, title=title, column_names=shown_as)


def _manifold(subject: Subject, shown: Shown) -> Figure:
    del shown
    num = 20
    codes = manifold_grid(num, prior=subject.density.prior(subject.params))
    grid = decoded(subject, codes)
    title = f"manifold: {decoded_as(subject)} of p(x | z), z at equal steps of prior probability"
    if not subject.has_normal_prior:
        return images(subject, grid, title=title + ", through the flow")
    names = [f"{z:.2f}" if i % 3 == 0 else "" for i, z in enumerate(codes[0, :, 0])]
    # The largest is at the top.
    rows = [f"{z:.2f}" if i % 3 == 0 else "" for i, z in enumerate(codes[::-1, 0, 1])][::-1]
    return images(subject, grid, title=title, column_names=names, row_names=rows, axis_names=("z[0]", "z[1]"))


def traversals(subject: Subject, shown: Shown) -> Figure:
    """One dimension of a code changed at a time, those of largest KL on top."""
    _, x, means = shown
    average = kl_per_dimension(subject.density, subject.params, x)
    order = np.argsort(np.std(means, axis=0) if average is None else average)[::-1][:_ROWS]
    # Where the codes of this dimension are: its spread may be 0.2, or 5.
    values = np.quantile(means, np.linspace(_INNER, 1.0 - _INNER, 11), axis=0)
    codes = traverse(jax.numpy.asarray(means[0]), jax.numpy.asarray(values))[order]
    grid = decoded(subject, codes)
    names = [f"z[{j}]" if average is None else f"z[{j}], {average[j]:.1f} nats" for j in order]
    return images(
        subject,
        grid,
        title=f"traversals: one dimension at a time, over {1 - 2 * _INNER:.0%} of its codes",
        row_names=names,
    )


def _plane(subject: Subject, shown: Shown) -> Figure:
    vae, params, x = subject.density, subject.params, shown.x
    z = vae.prior(params).sample(jax.random.key(0), (len(x),))
    each = jax.vmap(lambda z: vae.decode(params, z))(z)
    samples = jax.vmap(lambda p, key: p.sample(key))(each, jax.random.split(jax.random.key(1), len(x)))
    clouds = [("test data", x), ("samples of p(x)", samples)]
    if subject.decodes_to_mean:
        clouds.append(("their means, E[x | z]", jax.vmap(lambda p: p.mean)(each)))
    return plots.point_clouds(clouds, title="data and samples")


def _latent(subject: Subject, shown: Shown) -> Figure:
    """Codes of the highest layer."""
    x, labels = shown.x, shown.test.label
    if labels is not None:
        labels = named(labels, subject.run.dataset.classes)
    means = jax.tree.leaves(shown.means)[-1]
    means = means.reshape(len(means), -1)
    size = means.shape[1]
    if size == 1:
        return plots.code_line(means[:, 0], labels, title="codes of the test split (means of q)")
    if size == 2:
        circle = 2.0 if subject.has_standard_prior else None
        title = "codes of the test split (means of q)" + ("; within the circle lie 86% of p(z)" if circle else "")
        return plots.codes([(means, ("z[0]", "z[1]"))], labels, title=title, circle=circle)
    average = kl_per_dimension(subject.density, subject.params, x) if subject.has_density else None
    if average is not None and len(average) == size:
        largest, by = average, "KL"
        names = [f"z[{j}], KL {average[j]:.2f} nats" for j in range(size)]
    else:
        largest, by = means.std(axis=0), "spread"
        names = [f"z[{j}]" for j in range(size)]
    first, second = np.argsort(largest)[::-1][:2]
    centred = means - means.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    share = np.square(singular) / np.square(singular).sum()
    components = (f"component 1, {share[0]:.0%} of the variance", f"component 2, {share[1]:.0%}")
    title = f"the two dimensions of largest {by}, and two principal components"
    chosen = (means[:, [first, second]], (names[first], names[second]))
    return plots.codes([chosen, (centred @ axes[:2].T, components)], labels, title=title)


def _has_grids(subject: Subject) -> bool:
    """Whether x is an image, and its code a number at each place of a grid."""
    named = subject.has_codes and subject.has_images and subject.code == "indices"
    return named and all(leaf.ndim == 2 for leaf in jax.tree.leaves(subject.z))


def _denoises_images(subject: Subject) -> bool:
    return shows_images(subject) and subject.has_averages and subject.run.system.corrupt is not None


def _draws_images(subject: Subject) -> bool:
    return shows_images(subject) and subject.has_fitted_prior


def _draws_a_plane(subject: Subject) -> bool:
    vectors = _draws_images(subject) and subject.has_quantiles and subject.code == "vector"
    return vectors and subject.code_size == 2


def _draws_points(subject: Subject) -> bool:
    return subject.has_fitted_prior and not subject.is_conditional and subject.run.dataset.shape == (2,)


PICTURES = (
    Picture("training_curve", lambda subject: True, _training_curve),
    Picture("codes", _has_grids, _code_maps),
    Picture("latent", lambda subject: subject.has_codes and subject.code != "indices", _latent),
    Picture("conditions", lambda s: s.has_images and s.run.system.given is not None, _conditions),
    Picture("reconstructions", lambda subject: shows_images(subject) and subject.has_averages, _reconstructions),
    Picture("denoised", _denoises_images, _denoised),
    INTERPOLATION,
    NEIGHBOURHOOD,
    Picture("samples", _draws_images, _samples),
    Picture("samples", _draws_points, _plane),
    Picture("manifold", _draws_a_plane, _manifold),
    Picture("traversals", lambda subject: draws_vectors(subject) and subject.code_size > 2, traversals),
    *PATHS,
    *LAYERS,
)
