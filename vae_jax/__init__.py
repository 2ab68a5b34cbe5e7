"""vae_jax: the functional toolkit for variational autoencoders on JAX and Flax."""

from vae_jax.bounds import ciwae, elbo, iwae, miwae, renyi
from vae_jax.distributions import Bernoulli, Categorical, DiagNormal, FullNormal, reparameterize, standard_normal
from vae_jax.divergences import kl, register_kl
from vae_jax.estimators import dreg, piwae, score, stl, total
from vae_jax.evaluate.likelihood import LogMarginal, log_marginal
from vae_jax.evaluate.map_latent import MapLatent, map_latent
from vae_jax.hierarchy import bottom_up, top_down
from vae_jax.latent import interpolate, manifold_grid
from vae_jax.model import VAE, generate, log_weights, reconstruct
from vae_jax.systems.system import System
from vae_jax.terms import Terms, elbo_terms, full_data_bound

__all__ = [
    "VAE",
    "Bernoulli",
    "Categorical",
    "DiagNormal",
    "FullNormal",
    "LogMarginal",
    "MapLatent",
    "System",
    "Terms",
    "bottom_up",
    "ciwae",
    "dreg",
    "elbo",
    "elbo_terms",
    "full_data_bound",
    "generate",
    "interpolate",
    "iwae",
    "kl",
    "log_marginal",
    "log_weights",
    "manifold_grid",
    "map_latent",
    "miwae",
    "piwae",
    "reconstruct",
    "register_kl",
    "renyi",
    "reparameterize",
    "score",
    "standard_normal",
    "stl",
    "top_down",
    "total",
]
