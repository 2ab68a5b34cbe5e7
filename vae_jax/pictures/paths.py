"""Pictures of ways through the codes: between two examples, between three, and along the direction of a class."""

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.data.labels import is_labelled, named
from vae_jax.measure.subject import Subject
from vae_jax.models.latent import attribute_vector, interpolate, interpolate_sphere, j_diagram
from vae_jax.pictures.decoded import decoded, images
from vae_jax.pictures.picture import MOST_EXAMPLES, Picture, Shown, draws_vectors, shows_images

_STEPS, _SIDE = 9, 7
_PAIRS = 3
# Among so many examples are those that a diagram goes between.
_TRIED = 100
# How far along the direction of a class: 1 is as far as the two means are apart.
_STRENGTHS = np.linspace(0.0, 2.0, _STEPS)
_MOST_CLASSES = 10


def _between_two(subject: Subject, shown: Shown) -> Figure:
    means, rows, names = jnp.asarray(shown.means), [], []
    for pair in range(min(_PAIRS, len(means) // 2)):
        start, end = means[2 * pair], means[2 * pair + 1]
        for name, path in (("line", interpolate), ("arc", interpolate_sphere)):
            codes = path(start, end, _STEPS)
            rows.append(codes)
            names.append(f"{name}, |z| {jnp.linalg.norm(codes[_STEPS // 2]):.1f}")
    title = "between the codes of two test examples: on the line, and on the arc around 0; |z| of the middle"
    return images(subject, decoded(subject, jnp.stack(rows)), title=title, row_names=names)


def _between_three(subject: Subject, shown: Shown) -> Figure:
    corner, right, below = jnp.asarray(shown.means)[np.asarray(_unlike(shown))]
    title = "between three test examples (top left, top right, bottom left), and their analogy (bottom right)"
    return images(subject, decoded(subject, j_diagram(corner, right, below, _SIDE)), title=title)


def _unlike(shown: Shown) -> list[int]:
    """Three examples, of different classes where there are; without classes, with codes far from one another."""
    if shown.test.label is None:
        codes = np.asarray(shown.means)[:_TRIED]
        chosen = [0]
        while len(chosen) < 3:
            distances = np.linalg.norm(codes[:, None] - codes[None, chosen], axis=-1)
            chosen.append(int(np.argmax(distances.min(axis=1))))
        return chosen
    first = np.unique(shown.test.label, return_index=True)[1].tolist()
    return (first + [row for row in range(len(first) + 3) if row not in first])[:3]


def _along_classes(subject: Subject, shown: Shown) -> Figure:
    known = is_labelled(shown.test.label)
    labels, means = np.asarray(shown.test.label)[known], jnp.asarray(shown.means)[known]
    rows, names = [], []
    classes = np.unique(labels)[:_MOST_CLASSES]
    for label in classes:
        direction = attribute_vector(means, labels == label)
        start = means[int(np.argmax(labels != label))]
        rows.append(start[None] + jnp.asarray(_STRENGTHS)[:, None] * direction[None])
        names.append(str(named(np.asarray([label]), subject.run.dataset.classes)[0]))
    title = (
        "a test example of another class (left), moved towards a class: from its examples' mean code less the others'"
    )
    strengths = [f"{strength:g}" for strength in _STRENGTHS]
    return images(
        subject,
        decoded(subject, jnp.stack(rows)),
        title=title,
        row_names=names,
        column_names=strengths,
        axis_names=("strength", "class"),
    )


def _moves(subject: Subject) -> bool:
    """Whether codes are vectors that decode to pictures, more than a plane shows at once."""
    return (
        shows_images(subject)
        and subject.code == "vector"
        and not subject.is_direction
        and subject.code_size > 2
        and len(subject.run.dataset.test.x) >= 3
    )


def _moves_around_zero(subject: Subject) -> bool:
    return _moves(subject) and draws_vectors(subject)


def _moves_to_classes(subject: Subject) -> bool:
    label = subject.run.dataset.test.label
    return _moves(subject) and label is not None and len(set(np.asarray(label[:MOST_EXAMPLES]).tolist()) - {-1}) > 1


PATHS = (
    Picture("interpolations", _moves_around_zero, _between_two),
    Picture("j_diagram", _moves, _between_three),
    Picture("classes", _moves_to_classes, _along_classes),
)
