"""The posteriors, priors and corruptions that a config may name, and how each is made."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np

from vae_jax.config.fields import Codes, Model
from vae_jax.core.errors import ConfigError
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import (
    Concrete,
    DiagNormal,
    FullNormal,
    Mixture,
    OneHotCategorical,
    PointMass,
    StraightThrough,
    UniformSphere,
    VonMisesFisher,
)
from vae_jax.flows import Transformed
from vae_jax.nets import priors
from vae_jax.nets.flow_heads import FlowHead, PlanarHead, RadialHead
from vae_jax.nets.posteriors import (
    ChoicesHead,
    DiagNormalHead,
    FullNormalHead,
    IsotropicNormalHead,
    PointHead,
    UnitPointHead,
    VonMisesFisherHead,
)
from vae_jax.nets.priors import Prior
from vae_jax.objectives.corruptions import Corruption, dropout, gaussian, masking, salt_pepper, shifted, uncorrupted


def corruption_of(codes: Codes, dataset: Dataset) -> Corruption:
    """The corruption that a config names. ConfigError where it does not suit the data."""
    if codes.corruption_shift and not dataset.is_image:
        raise ConfigError(
            f"--corruption-shift {codes.corruption_shift} moves images, but an example of {dataset.name} has the shape "
            f"{dataset.shape}: use --corruption-shift 0."
        )
    by_name = {"gaussian": gaussian, "masking": masking, "dropout": dropout, "salt_pepper": salt_pepper}
    corrupt = uncorrupted if codes.corruption == "none" else by_name[codes.corruption](codes.corruption_level)
    return shifted(codes.corruption_shift, corrupt)


class PosteriorPart(NamedTuple):
    """`space`: what a code is. `kind`: the type of the distribution. `make(model)` gives the head."""

    space: str
    kind: type
    make: Callable[[Model], nn.Module]


class PriorPart(NamedTuple):
    """`space`: what a code is. `kind`: the type. `make(model, x)` gives the prior, from training examples `x`."""

    space: str
    kind: type
    make: Callable[[Model, Any], Prior]


def _flow(kind: str) -> PosteriorPart:
    return PosteriorPart("vectors", Transformed, lambda m: FlowHead(m.latent_size, m.flow_layers, m.flow_hidden, kind))


def _choices(name: str, kind: type) -> PosteriorPart:
    return PosteriorPart("choices", kind, lambda m: ChoicesHead(m.latent_size, m.classes, m.temperature, name))


def _flow_prior(kind: str) -> PriorPart:
    return PriorPart(
        "vectors", Transformed, lambda m, x: priors.flow(m.latent_size, m.flow_layers, m.flow_hidden, kind)
    )


POSTERIORS: dict[str, PosteriorPart] = {
    "diagonal": PosteriorPart("vectors", DiagNormal, lambda m: DiagNormalHead(m.latent_size)),
    "isotropic": PosteriorPart("vectors", DiagNormal, lambda m: IsotropicNormalHead(m.latent_size)),
    "full": PosteriorPart("vectors", FullNormal, lambda m: FullNormalHead(m.latent_size)),
    "planar": PosteriorPart("vectors", Transformed, lambda m: PlanarHead(m.latent_size, m.flow_layers)),
    "radial": PosteriorPart("vectors", Transformed, lambda m: RadialHead(m.latent_size, m.flow_layers)),
    "iaf": _flow("iaf"),
    "coupling": _flow("coupling"),
    "spline": _flow("spline"),
    "sphere": PosteriorPart("sphere", VonMisesFisher, lambda m: VonMisesFisherHead(m.latent_size)),
    "concrete": _choices("concrete", Concrete),
    "straight_through": _choices("straight_through", StraightThrough),
    "categorical": _choices("categorical", OneHotCategorical),
    "point": PosteriorPart("vectors", PointMass, lambda m: PointHead(m.latent_size)),
    "unit_point": PosteriorPart("vectors", PointMass, lambda m: UnitPointHead(m.latent_size)),
}
# Those of a normal that goes through a flow.
FLOW_POSTERIORS = tuple(name for name, part in POSTERIORS.items() if part.kind is Transformed)


def _vamp(model: Model, x: np.ndarray) -> Prior:
    return priors.vamp(priors.start_examples(x, model.prior_components, seed=0))


PRIORS: dict[str, PriorPart] = {
    "normal": PriorPart("vectors", DiagNormal, lambda m, x: priors.normal(m.latent_size)),
    "scaled": PriorPart("vectors", DiagNormal, lambda m, x: priors.scaled(m.latent_size)),
    "mixture": PriorPart("vectors", Mixture, lambda m, x: priors.mixture(m.latent_size, m.prior_components)),
    "vamp": PriorPart("vectors", Mixture, _vamp),
    "autoregressive": _flow_prior("iaf"),
    "coupling": _flow_prior("coupling"),
    "spline": _flow_prior("spline"),
    "uniform_sphere": PriorPart("sphere", UniformSphere, lambda m, x: priors.sphere(m.latent_size)),
    "uniform_choices": PriorPart("choices", OneHotCategorical, lambda m, x: priors.choices(m.latent_size, m.classes)),
    "relaxed_choices": PriorPart(
        "choices", Concrete, lambda m, x: priors.relaxed_choices(m.latent_size, m.classes, m.prior_temperature)
    ),
}

# The prior that goes with a posterior by default, by the space of its codes.
DEFAULT_PRIORS: dict[str, str] = {"vectors": "normal", "sphere": "uniform_sphere", "choices": "uniform_choices"}


def prior_name(model: Model) -> str:
    """The prior of a model, with `default` resolved by the space of its posterior."""
    return DEFAULT_PRIORS[POSTERIORS[model.posterior].space] if model.prior == "default" else model.prior
