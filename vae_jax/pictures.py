"""The pictures of a run: what fits its data, drawn into RUN/pictures."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax import plots
from vae_jax.data.dataset import Split
from vae_jax.distributions import DiagNormal
from vae_jax.evaluate.collapse import kl_per_dimension, latent_means
from vae_jax.latent import manifold_grid, traverse
from vae_jax.measure import coder, has_prior, prepared
from vae_jax.model import VAE, Autoencoder, Params, typical
from vae_jax.pictures_strings import string_pictures
from vae_jax.train.loop import RunState, metrics_file, read_metrics
from vae_jax.train.run import Run

# Pictures show this many examples in a row, and codes of at most so many.
_COLUMNS = 12
_MOST_CODES = 5000
# Traversals show the dimensions that say most.
_ROWS = 10


def write_pictures(run: Run, state: RunState) -> list[Path]:
    """Draw every picture that fits the data into RUN/pictures; returns their paths."""
    model, params = coder(run), state.best_params
    folder = run.directory / "pictures"
    folder.mkdir(exist_ok=True)
    test = run.dataset.test.take(slice(_MOST_CODES))
    x = prepared(run, run.dataset, test)
    means = latent_means(model, params, jax.random.key(0), x)
    figures: dict[str, Figure] = {"training_curve": _training_curve(run, state)}
    grids = [codes for codes in jax.tree.leaves(means) if codes.dtype.kind == "i"]
    if grids:
        figures["codes"] = _code_maps(run, x, grids)
    else:
        figures["latent"] = _latent(model, params, x, means, test.label)
    images, most = run.dataset.is_image, run.dataset.most
    if images and run.system.given is not None:
        figures["conditions"] = _conditions(run.system.given, params, run.system.conditions, most)
    if images and not isinstance(x, dict):
        figures["reconstructions"] = _reconstructions(run, model, params, test, x, means)
    if run.dataset.grammar is not None:
        figures |= string_pictures(run, params, x, means)
    # What is drawn from the prior.
    if isinstance(model, VAE) and has_prior(run, state) and not isinstance(x, dict):
        if images:
            figures["samples"] = _samples(model, params, most)
            if isinstance(model.prior(params), DiagNormal) and np.shape(means)[1:] == (2,):
                figures["manifold"] = _manifold(model, params, most)
            if isinstance(model.prior(params), DiagNormal) and np.ndim(means) == 2 and np.shape(means)[1] > 2:
                figures["traversals"] = traversals(model, params, x, means, most)
        elif run.dataset.shape == (2,):
            figures["samples"] = _plane(model, params, x)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=150)
    return paths


def _training_curve(run: Run, state: RunState) -> Figure:
    lines = read_metrics(metrics_file(run))
    return plots.training_curve(
        [(line["epoch"], line["train"]["loss"]) for line in lines],
        [(line["epoch"], line["validation"]["loss"]) for line in lines if line["validation"]],
        best=float(state.best_epoch),
        name="loss (nats per example)",
    )


def _decoded(vae: VAE | Autoencoder, params: Params, z: Any) -> Any:
    """The mean of p(x | z) for a stack of codes `[n, d]`, or a sample where it has none."""
    key = jax.random.key(0)
    return jax.jit(jax.vmap(lambda params, z: typical(vae.decode(params, z), key), in_axes=(None, 0)))(params, z)


def _what(vae: VAE | Autoencoder, params: Params, z: Any) -> str:
    """Which of p(x | z) the pictures show (`typical`); `z` is a stack of codes."""
    decoded = jax.eval_shape(lambda z: vae.decode(params, z), jax.tree.map(lambda leaf: leaf[0], z))
    return "mean" if hasattr(type(decoded), "mean") else "a sample"


def _reconstructions(run: Run, vae: VAE | Autoencoder, params: Params, test: Split, x: Any, means: Any) -> Figure:
    columns = min(_COLUMNS, len(x))
    rows = min(3, len(x) // columns)
    count = columns * rows
    mean = _decoded(vae, params, jax.tree.map(lambda layer: layer[:count], means))
    most = run.dataset.most
    shown = [run.dataset.intensities(test.x[:count]), x[:count] / most, mean / most]
    names = ["data", "seen", "decoded"]
    if not run.dataset.is_binary:
        shown, names = shown[1:], names[1:]
    grid = np.stack([np.asarray(part).reshape(rows, columns, *part.shape[1:]) for part in shown], axis=1)
    title = f"reconstructions: {_what(vae, params, means)} of p(x | z) at the mean of q(z | x)"
    return plots.show_images(grid.reshape(-1, *grid.shape[2:]), title=title, row_names=names * rows)


def _code_maps(run: Run, x: Any, grids: list[Any]) -> Figure:
    """Examples above the numbers of their codes, as shades: the same shade is the same code."""
    columns = min(_COLUMNS, len(x))
    side = run.dataset.shape[0]
    rows = [np.asarray(x[:columns] / run.dataset.most)]
    for codes in grids:
        shades = np.asarray(codes[:columns, ..., None] / max(int(codes.max()), 1))
        rows.append(np.repeat(np.repeat(shades, side // codes.shape[1], axis=1), side // codes.shape[2], axis=2))
    if rows[0].shape[-1] > 1:
        rows[1:] = [np.repeat(shades, rows[0].shape[-1], axis=-1) for shades in rows[1:]]
    names = ["data"] + [f"codes {codes.shape[1]}x{codes.shape[2]}" for codes in grids]
    return plots.show_images(np.stack(rows), title="codes of test examples, a shade for each", row_names=names)


def _samples(vae: VAE, params: Params, most: int) -> Figure:
    rows = 6
    z = vae.prior(params).sample(jax.random.key(0), (rows * _COLUMNS,))
    mean = _decoded(vae, params, z) / most
    grid = mean.reshape(rows, _COLUMNS, *mean.shape[1:])
    return plots.show_images(grid, title=f"samples: {_what(vae, params, z)} of p(x | z), z from the prior")


def _conditions(given: Any, params: Params, conditions: Any, most: int) -> Figure:
    """One key a row, one condition a column: each class, or some numbers in the order of the first.

    A key is the same z under every condition, or, where z depends on it, what the same noise gives.
    """
    if len(conditions) > _COLUMNS:
        in_order = np.argsort(conditions[:, 0])
        conditions = conditions[in_order[np.linspace(0, len(conditions) - 1, _COLUMNS).astype(int)]]
    key = jax.random.key(1)

    def one(z_key: Any, y: Any) -> Any:
        vae = given(y)
        return typical(vae.decode(params, vae.prior(params).sample(z_key)), key)

    keys = jax.random.split(jax.random.key(0), 6)
    grid = jax.jit(jax.vmap(lambda z_key: jax.vmap(lambda y: one(z_key, y))(conditions)))(keys) / most
    return plots.show_images(np.asarray(grid), title="samples of each condition (columns), the same z in a row")


def _manifold(vae: VAE, params: Params, most: int, num: int = 20) -> Figure:
    z = manifold_grid(num).reshape(-1, 2)
    mean = _decoded(vae, params, z) / most
    grid = mean.reshape(num, num, *mean.shape[1:])
    return plots.show_images(
        grid, title=f"manifold: {_what(vae, params, z)} of p(x | z), z at equal steps of prior probability"
    )


def traversals(vae: VAE, params: Params, x: Any, means: Any, most: int) -> Figure:
    """One dimension of a code changed at a time, those of largest KL on top."""
    average = kl_per_dimension(vae, params, x)
    order = np.argsort(np.std(means, axis=0) if average is None else average)[::-1][:_ROWS]
    values = np.linspace(-2.5, 2.5, 11)
    codes = traverse(jax.numpy.asarray(means[0]), jax.numpy.asarray(values))[order]
    mean = _decoded(vae, params, codes.reshape(-1, codes.shape[-1])) / most
    grid = mean.reshape(*codes.shape[:2], *mean.shape[1:])
    names = [f"z[{j}]" if average is None else f"z[{j}], {average[j]:.1f} nats" for j in order]
    return plots.show_images(grid, title="traversals: one dimension at a time from -2.5 to 2.5", row_names=names)


def _plane(vae: VAE, params: Params, x: Any) -> Figure:
    z = vae.prior(params).sample(jax.random.key(0), (len(x),))
    decoded = jax.vmap(lambda z: vae.decode(params, z))(z)
    samples = jax.vmap(lambda p, key: p.sample(key))(decoded, jax.random.split(jax.random.key(1), len(x)))
    clouds = [
        ("test data", x),
        ("samples of p(x)", samples),
        ("their means, E[x | z]", jax.vmap(lambda p: p.mean)(decoded)),
    ]
    return plots.point_clouds(clouds, title="data and samples")


def _latent(vae: VAE | Autoencoder, params: Params, x: Any, layers: Any, labels: Any | None) -> Figure:
    """Codes of the highest layer."""
    means = jax.tree.leaves(layers)[-1]
    means = means.reshape(len(means), -1)
    size = means.shape[1]
    if size == 1:
        return plots.code_line(means[:, 0], labels, title="codes of the test split (means of q)")
    if size == 2:
        return plots.codes([(means, ("z[0]", "z[1]"))], labels, title="codes of the test split (means of q)")
    average = kl_per_dimension(vae, params, x) if isinstance(vae, VAE) else None
    if average is not None and len(average) == size:
        first, second = np.argsort(average)[::-1][:2]
        chosen, title = means[:, [first, second]], "the two dimensions of largest KL, and two principal components"
        names = (f"z[{first}], KL {average[first]:.2f} nats", f"z[{second}], KL {average[second]:.2f} nats")
    else:
        spread = means.std(axis=0)
        first, second = np.argsort(spread)[::-1][:2]
        chosen, title = means[:, [first, second]], "the two dimensions of largest spread, and two principal components"
        names = (f"z[{first}]", f"z[{second}]")
    centred = means - means.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    share = np.square(singular) / np.square(singular).sum()
    components = (f"component 1, {share[0]:.0%} of the variance", f"component 2, {share[1]:.0%}")
    return plots.codes([(chosen, names), (centred @ axes[:2].T, components)], labels, title=title)
