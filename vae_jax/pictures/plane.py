"""What a page can explore: the plane of codes, with what every place of it decodes to, and the examples on it."""

import io
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from vae_jax.data.labels import is_labelled, named
from vae_jax.evaluate.usage import latent_means
from vae_jax.measure.subject import Subject
from vae_jax.pictures.decoded import decoded

# Examples that are shown as points, and pixels of all places decoded together: so a page stays below 5 MB.
_POINTS, _PIXELS = 800, 1_000_000
_PLACES = 41
# Share of the codes on each side that may lie outside of the plane.
_TAIL = 0.005


class Sheet(NamedTuple):
    """Small pictures in one: a PNG, how many stand in a row of it, and the height and width of one."""

    png: bytes
    columns: int
    height: int
    width: int


class Plane(NamedTuple):
    """Codes `points` `[n, 2]` of test examples and their `labels`, if any; `axes`: what the two numbers are.

    `places`: what is decoded at `ticks` × `ticks`, row by row from the top left, each axis from `low` to `high`.
    """

    axes: tuple[str, str]
    low: tuple[float, float]
    high: tuple[float, float]
    ticks: int
    places: Sheet
    points: np.ndarray
    labels: list[str] | None
    examples: Sheet


def plane_of(subject: Subject) -> Plane | None:
    """The plane of a model of images with codes of two numbers or more, which fill their space; None of any other.

    Codes of more numbers are shown on the two directions in which those of the test split vary most, and what is
    decoded is their mean, moved along them.
    """
    if not (subject.has_codes and subject.has_images and subject.code == "vector" and not subject.is_conditional):
        return None
    if subject.code_size < 2 or subject.is_direction:
        return None
    dataset = subject.run.dataset
    test = dataset.test.take(slice(_POINTS))
    codes = latent_means(subject.coder, subject.params, jax.random.key(0), subject.prepared(dataset, test))
    centre, directions, axes = _directions(np.asarray(codes))
    points = (codes - centre) @ directions.T
    low, high = np.quantile(points, [_TAIL, 1.0 - _TAIL], axis=0)
    margin = 0.05 * (high - low) + 1e-6
    low, high = low - margin, high + margin
    ticks = int(min(_PLACES, (_PIXELS / np.prod(dataset.shape)) ** 0.5))
    across, down = np.meshgrid(np.linspace(low[0], high[0], ticks), np.linspace(high[1], low[1], ticks))
    places = centre + np.stack([across.ravel(), down.ravel()], axis=1) @ directions
    labels = None
    if test.label is not None:
        known = is_labelled(test.label)
        labels = np.where(known, named(test.label, dataset.classes).astype(str), "not known").tolist()
    return Plane(
        axes,
        (float(low[0]), float(low[1])),
        (float(high[0]), float(high[1])),
        ticks,
        sheet(decoded(subject, jnp.asarray(places, jnp.float32)), photographs=dataset.photographs),
        points,
        labels,
        sheet(dataset.shades(dataset.shown(test.x)), photographs=dataset.photographs),
    )


def _directions(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """The centre `[d]` and the two directions `[2, d]` of a plane, and what they are called."""
    if codes.shape[1] == 2:
        return np.zeros(2), np.eye(2), ("z[0]", "z[1]")
    centre = codes.mean(axis=0)
    _, singular, directions = np.linalg.svd(codes - centre, full_matrices=False)
    share = np.square(singular) / np.square(singular).sum()
    first, second = (f"component {i + 1}, {share[i]:.0%} of the variance" for i in range(2))
    return centre, directions[:2], (first, second)


def sheet(images: Any, *, photographs: bool = False) -> Sheet:
    """Images `[n, H, W, C]` in 0..1 in one picture. Where C is 1 they are ink on paper unless they are photographs."""
    images = np.clip(np.asarray(images, np.float32), 0.0, 1.0)
    number, height, width, channels = images.shape
    images = images if photographs or channels > 1 else 1.0 - images
    columns = int(np.ceil(number**0.5))
    rows = -(-number // columns)
    paper = np.zeros((rows * height, columns * width, channels), np.uint8)
    for i, image in enumerate(np.round(255 * images).astype(np.uint8)):
        top, left = i // columns * height, i % columns * width
        paper[top : top + height, left : left + width] = image
    file = io.BytesIO()
    Image.fromarray(paper[..., 0] if channels == 1 else paper).save(file, "PNG", optimize=True)
    return Sheet(file.getvalue(), columns, height, width)
