"""A picture of a run, as a value: whether it suits the model, and how it is drawn."""

from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from vae_jax.data.dataset import Split
from vae_jax.measure.subject import Subject

# Pictures look at so many test examples at most.
MOST_EXAMPLES = 5000


class Shown(NamedTuple):
    """Test examples as they are stored, as the model sees them (`x`), and their mean codes (None where it has none)."""

    test: Split
    x: Any
    means: Any


def shows_images(subject: Subject) -> bool:
    """Whether examples have codes and are pictures, and nothing else need be told to decode one."""
    return subject.has_codes and subject.has_images and not subject.is_conditional


def draws_vectors(subject: Subject) -> bool:
    """Whether pictures are drawn from codes that are vectors with a normal prior."""
    drawn = shows_images(subject) and subject.has_fitted_prior
    return drawn and subject.has_normal_prior and subject.code == "vector"


def decoded_as(subject: Subject) -> str:
    """Which of p(x | z) is shown."""
    return "mean" if subject.decodes_to_mean else "a sample"


class Picture(NamedTuple):
    """The file RUN/pictures/`name`.png. Of pictures of one name, one suits a model at most."""

    name: str
    suits: Callable[[Subject], bool]
    draw: Callable[[Subject, Shown], Figure]
