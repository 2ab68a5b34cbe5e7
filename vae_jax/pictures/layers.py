"""Pictures of several stochastic layers: what each holds, and what each draws."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluate.usage import kl_per_layer
from vae_jax.measure.subject import Subject
from vae_jax.pictures import plots
from vae_jax.pictures.decoded import decoded, images
from vae_jax.pictures.picture import Picture, Shown

_COLUMNS = 10
_TEMPERATURES = (0.0, 0.5, 0.7, 0.85, 1.0)
# The rate of each layer is that of so many test examples.
_EXAMPLES = 500
# More rows than these would be too small to see.
_MOST_ROWS = 10


def _rates(subject: Subject, shown: Shown) -> Figure:
    x = jax.tree.map(lambda leaf: leaf[:_EXAMPLES], shown.x)
    rates = kl_per_layer(subject.density, subject.params, jax.random.key(0), x)
    names = [f"z{i}, {_shape(layer)}" for i, layer in enumerate(shown.means, 1)]
    title = f"rate of each layer, {rates.sum():.1f} nats in all; the lowest is nearest to x"
    return plots.bars(names[::-1], rates[::-1], title=title, name="nats per example")


def _shape(layer: Any) -> str:
    return "×".join(map(str, layer.shape[1:]))


def _warmer(subject: Subject, shown: Shown) -> Figure:
    """The same noise in a column, at one temperature in a row."""
    layers = len(shown.means)
    z = [_drawn(subject, jnp.full(layers, temperature)) for temperature in _TEMPERATURES]
    names = [f"{temperature:g}" for temperature in _TEMPERATURES]
    title = "samples at several temperatures: the scale of every layer times it"
    return _rows(subject, z, title, names, "temperature")


def _from_above(subject: Subject, shown: Shown) -> Figure:
    """The same noise in a column: the layers down to that of a row are drawn, those below it are at their means."""
    layers = len(shown.means)
    lowest = np.unique(np.linspace(0, layers, min(layers + 1, _MOST_ROWS)).round().astype(int))[::-1]
    z = [_drawn(subject, jnp.where(jnp.arange(layers) >= row, 1.0, 0.0)) for row in lowest]
    names = ["none" if row == layers else f"z{layers}" if row == layers - 1 else f"to z{row + 1}" for row in lowest]
    title = "layer by layer: those from the highest down are drawn, the others are at their means"
    return _rows(subject, z, title, names, "drawn")


def _drawn(subject: Subject, temperatures: Any) -> Any:
    """Codes of `_COLUMNS` keys, the same ones at whatever temperatures."""
    prior = subject.density.prior(subject.params)
    keys = jax.random.split(jax.random.key(0), _COLUMNS)
    return jax.jit(lambda prior, t: jax.vmap(prior.tempered(t).sample)(keys))(prior, temperatures)


def _rows(subject: Subject, z: list[Any], title: str, names: list[str], of_rows: str) -> Figure:
    grid = np.stack([decoded(subject, row) for row in z])
    return images(subject, grid, title=title, row_names=names, axis_names=("", of_rows))


def _draws_layers(subject: Subject) -> bool:
    return subject.has_images and subject.is_path and not subject.is_conditional


LAYERS = (
    Picture("layers", lambda subject: subject.is_path, _rates),
    Picture("temperatures", _draws_layers, _warmer),
    Picture("layer_by_layer", _draws_layers, _from_above),
)
