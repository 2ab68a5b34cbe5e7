"""A picture of a run, as a value: whether it suits the model, and how it is drawn."""

from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from vae_jax.data.dataset import Split
from vae_jax.measure.subject import Subject


class Shown(NamedTuple):
    """Test examples as they are stored, as the model sees them (`x`), and their mean codes (None where it has none)."""

    test: Split
    x: Any
    means: Any


class Picture(NamedTuple):
    """The file RUN/pictures/`name`.png. Of pictures of one name, one suits a model at most."""

    name: str
    suits: Callable[[Subject], bool]
    draw: Callable[[Subject, Shown], Figure]
