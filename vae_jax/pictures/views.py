"""Codes of many dimensions in the plane, where neighbours stay together: by t-SNE, and by UMAP where it is installed.

They take seconds, so only `vae-jax explore` draws them. Distances between groups, and their sizes, mean nothing there.
"""

from importlib.util import find_spec

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax.data.labels import named
from vae_jax.measure.subject import Subject
from vae_jax.pictures import plots
from vae_jax.pictures.picture import Picture, Shown

# Both methods grow faster than their examples.
_MOST = 1000
# A method that looks at 30 neighbours needs more than that.
_LEAST = 50


def _vectors(shown: Shown) -> tuple[np.ndarray, np.ndarray | None]:
    """The mean codes of the highest layer, flattened, and their labels."""
    means = np.asarray(jax.tree.leaves(shown.means)[-1])[:_MOST]
    label = shown.test.label
    return means.reshape(len(means), -1), None if label is None else label[:_MOST]


def _view(subject: Subject, shown: Shown, points: np.ndarray, name: str) -> Figure:
    _, labels = _vectors(shown)
    labels = None if labels is None else named(labels, subject.run.dataset.classes)
    title = f"codes of {len(points)} test examples by {name}: neighbours stay together, distances do not"
    return plots.codes([(points, (f"{name} 1", f"{name} 2"))], labels, title=title)


def _tsne(subject: Subject, shown: Shown) -> Figure:
    """Visualizing Data using t-SNE (van der Maaten and Hinton, 2008)."""
    from sklearn.manifold import TSNE

    codes, _ = _vectors(shown)
    return _view(subject, shown, TSNE(init="pca", random_state=0).fit_transform(codes), "t-SNE")


def _umap(subject: Subject, shown: Shown) -> Figure:
    """UMAP: Uniform Manifold Approximation and Projection, arXiv 1802.03426."""
    from umap import UMAP  # pyright: ignore[reportMissingImports]

    codes, _ = _vectors(shown)
    return _view(subject, shown, np.asarray(UMAP(random_state=0, n_jobs=1).fit_transform(codes)), "UMAP")


def _has_many(subject: Subject) -> bool:
    real = subject.has_codes and subject.code in ("vector", "layers", "choices")
    return real and jax.tree.leaves(subject.z)[-1].size > 2 and len(subject.run.dataset.test.x) >= _LEAST


VIEWS = (
    Picture("tsne", _has_many, _tsne),
    Picture("umap", lambda subject: _has_many(subject) and find_spec("umap") is not None, _umap),
)
