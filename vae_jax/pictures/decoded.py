"""Codes as the images that they decode to, and those as figures."""

from typing import Any

import jax
from matplotlib.figure import Figure

from vae_jax.measure.subject import Subject
from vae_jax.models.vae import typical
from vae_jax.pictures import plots


def drawn(subject: Subject, z: Any) -> Any:
    """The same as `decoded` of codes that are stacked once, each sample with noise of its own."""
    keys = jax.random.split(jax.random.key(0), len(jax.tree.leaves(z)[0]))
    one = jax.vmap(lambda params, z, key: typical(subject.coder.decode(params, z), key), in_axes=(None, 0, 0))
    return subject.run.dataset.shades(jax.jit(one)(subject.params, z, keys))


def decoded(subject: Subject, z: Any) -> Any:
    """The mean of p(x | z) for codes `[…, d]`, or a sample where it has none, as images in 0..1.

    Codes of several layers, or of a grid, are stacked once, and so are those of one vector each. Samples have the same
    noise, so that they differ by their codes alone.
    """
    key, decode = jax.random.key(0), subject.coder.decode
    one = jax.vmap(lambda params, z: typical(decode(params, z), key), in_axes=(None, 0))
    stacks = z.ndim - 2 if subject.code == "vector" else 0
    for _ in range(stacks):
        one = jax.vmap(one, in_axes=(None, 0))
    return subject.run.dataset.shades(jax.jit(one)(subject.params, z))


def images(subject: Subject, grid: Any, **texts: Any) -> Figure:
    """A figure of a grid of images `[rows, columns, H, W, C]` of a run, as ink or as photographs."""
    return plots.show_images(grid, photographs=subject.run.dataset.photographs, **texts)
