"""vae_jax: the functional toolkit for variational autoencoders on JAX and Flax."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from vae_jax.distributions import (
    Autoregressive,
    Bernoulli,
    Binomial,
    Categorical,
    Certain,
    Columns,
    Concrete,
    ContinuousBernoulli,
    Derivation,
    DiagNormal,
    DiscretisedLogistic,
    ElementMixture,
    FullNormal,
    Masked,
    Mixture,
    NegativeBinomial,
    Observed,
    OneHotCategorical,
    PointMass,
    Poisson,
    Product,
    RelaxedBernoulli,
    StraightThrough,
    StudentT,
    UniformSphere,
    VonMisesFisher,
    reparameterize,
    standard_normal,
    vamp_prior,
)
from vae_jax.distributions.divergences import kl, register_kl
from vae_jax.distributions.hierarchy import bottom_up, top_down, top_down_path
from vae_jax.evaluate.anomaly import anomaly_score, anomaly_threshold
from vae_jax.evaluate.impute import impute
from vae_jax.evaluate.likelihood import LogMarginal, log_marginal
from vae_jax.evaluate.map_latent import MapLatent, map_latent
from vae_jax.flows import Transformed, flow
from vae_jax.languages import grammar as _grammar
from vae_jax.models.latent import (
    analogy,
    attribute_vector,
    interpolate,
    interpolate_sphere,
    j_diagram,
    manifold_grid,
    nearest,
)
from vae_jax.models.vae import VAE, Autoencoder, discretised, generate, log_weights, reconstruct
from vae_jax.objectives.batch import capacity, free_bits, full_data_bound, geco
from vae_jax.objectives.bounds import ciwae, elbo, iwae, miwae, renyi
from vae_jax.objectives.discrepancy import mmd
from vae_jax.objectives.estimators import dreg, piwae, score, stl, total
from vae_jax.objectives.terms import Terms, elbo_terms, sampled_terms
from vae_jax.systems.system import System

__version__ = "0.2.0"

# Programs that were written for 0.1.0 import the grammars from there.
sys.modules[f"{__name__}.grammar"] = _grammar

if TYPE_CHECKING:
    from vae_jax.commands.estimator import VAETransformer as VAETransformer
    from vae_jax.commands.fitted import Fitted as Fitted
    from vae_jax.commands.fitted import fit as fit
    from vae_jax.commands.fitted import open_run as open_run
    from vae_jax.train.python import as_system as as_system

# Loaded when they are asked for: they train, and bring along what training needs.
_LATER = {
    "Fitted": "vae_jax.commands.fitted",
    "fit": "vae_jax.commands.fitted",
    "open_run": "vae_jax.commands.fitted",
    "VAETransformer": "vae_jax.commands.estimator",
    "as_system": "vae_jax.train.python",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)


__all__ = [
    "VAE",
    "Autoencoder",
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
    "ElementMixture",
    "FullNormal",
    "LogMarginal",
    "MapLatent",
    "Masked",
    "Mixture",
    "NegativeBinomial",
    "Observed",
    "OneHotCategorical",
    "PointMass",
    "Poisson",
    "Product",
    "RelaxedBernoulli",
    "StraightThrough",
    "StudentT",
    "System",
    "Terms",
    "Transformed",
    "UniformSphere",
    "VonMisesFisher",
    "analogy",
    "anomaly_score",
    "anomaly_threshold",
    "attribute_vector",
    "bottom_up",
    "capacity",
    "ciwae",
    "discretised",
    "dreg",
    "elbo",
    "elbo_terms",
    "flow",
    "free_bits",
    "full_data_bound",
    "geco",
    "generate",
    "impute",
    "interpolate",
    "interpolate_sphere",
    "iwae",
    "j_diagram",
    "kl",
    "log_marginal",
    "log_weights",
    "manifold_grid",
    "map_latent",
    "miwae",
    "mmd",
    "nearest",
    "piwae",
    "reconstruct",
    "register_kl",
    "renyi",
    "reparameterize",
    "sampled_terms",
    "score",
    "standard_normal",
    "stl",
    "top_down",
    "top_down_path",
    "total",
    "vamp_prior",
]
