"""Distributions: immutable pytrees of one example each, a file for each family. Imports core and languages."""

from vae_jax.core.trees import freeze
from vae_jax.core.types import Array, Key, PyTree
from vae_jax.distributions.autoregressive import Autoregressive
from vae_jax.distributions.certain import Certain
from vae_jax.distributions.columns import Columns
from vae_jax.distributions.continuous import ContinuousBernoulli, StudentT
from vae_jax.distributions.counts import Binomial, NegativeBinomial, Poisson
from vae_jax.distributions.derivation import Derivation
from vae_jax.distributions.discrete import Bernoulli, Categorical
from vae_jax.distributions.distribution import (
    Distribution,
    check_reparameterised,
    draws,
    sample_and_log_prob,
    sample_and_path_log_prob,
)
from vae_jax.distributions.logistic import DiscretisedLogistic
from vae_jax.distributions.masked import Masked, Observed
from vae_jax.distributions.mixture import ElementMixture, Mixture, vamp_prior
from vae_jax.distributions.normal import DiagNormal, FullNormal, reparameterize, standard_normal
from vae_jax.distributions.point import PointMass
from vae_jax.distributions.product import Product
from vae_jax.distributions.relaxed import Concrete, OneHotCategorical, RelaxedBernoulli, StraightThrough
from vae_jax.distributions.sphere import UniformSphere, VonMisesFisher

__all__ = [
    "Array",
    "Autoregressive",
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Certain",
    "Columns",
    "Concrete",
    "ContinuousBernoulli",
    "Derivation",
    "DiagNormal",
    "DiscretisedLogistic",
    "Distribution",
    "ElementMixture",
    "FullNormal",
    "Key",
    "Masked",
    "Mixture",
    "NegativeBinomial",
    "Observed",
    "OneHotCategorical",
    "PointMass",
    "Poisson",
    "Product",
    "PyTree",
    "RelaxedBernoulli",
    "StraightThrough",
    "StudentT",
    "UniformSphere",
    "VonMisesFisher",
    "check_reparameterised",
    "draws",
    "freeze",
    "reparameterize",
    "sample_and_log_prob",
    "sample_and_path_log_prob",
    "standard_normal",
    "vamp_prior",
]
