"""Measures of any model, as pure functions: log p(x), what its codes hold, and how good its gradients are.

Imports core and the mathematics; knows no config and no run.
"""

from vae_jax.evaluate.annealed import Annealed, Sandwich, ais, bdmc, reverse_ais
from vae_jax.evaluate.batched import encode_dataset, example_log_marginals, map_batches, mean_log_marginal
from vae_jax.evaluate.disentanglement import (
    DCI,
    beta_vae_score,
    dci,
    factor_vae_score,
    mig,
    modularity,
    mutual_information,
    sap,
)
from vae_jax.evaluate.elbo_surgery import (
    Coding,
    JointKL,
    MarginalKL,
    bits_per_dimension,
    coding,
    joint_kl,
    marginal_kl,
    rate_distortion,
)
from vae_jax.evaluate.gaps import Gaps, inference_gaps, optimise_posterior
from vae_jax.evaluate.gradients import GradientMoments, gradient_bias, gradient_moments, signal_to_noise
from vae_jax.evaluate.hamiltonian import PosteriorDraws, posterior_draws
from vae_jax.evaluate.likelihood import LogMarginal, log_marginal, naive_log_marginal
from vae_jax.evaluate.log_weights import weighed
from vae_jax.evaluate.map_latent import MapLatent, map_latent
from vae_jax.evaluate.representation import linear_probe, reconstruction_errors
from vae_jax.evaluate.unsupervised import gaussian_total_correlation, udr
from vae_jax.evaluate.usage import active_units, kl_per_dimension, kl_per_layer, latent_means

__all__ = [
    "DCI",
    "Annealed",
    "Coding",
    "Gaps",
    "GradientMoments",
    "JointKL",
    "LogMarginal",
    "MapLatent",
    "MarginalKL",
    "PosteriorDraws",
    "Sandwich",
    "active_units",
    "ais",
    "bdmc",
    "beta_vae_score",
    "bits_per_dimension",
    "coding",
    "dci",
    "encode_dataset",
    "example_log_marginals",
    "factor_vae_score",
    "gaussian_total_correlation",
    "gradient_bias",
    "gradient_moments",
    "inference_gaps",
    "joint_kl",
    "kl_per_dimension",
    "kl_per_layer",
    "latent_means",
    "linear_probe",
    "log_marginal",
    "map_batches",
    "map_latent",
    "marginal_kl",
    "mean_log_marginal",
    "mig",
    "modularity",
    "mutual_information",
    "naive_log_marginal",
    "optimise_posterior",
    "posterior_draws",
    "rate_distortion",
    "reconstruction_errors",
    "reverse_ais",
    "sap",
    "signal_to_noise",
    "udr",
    "weighed",
]
