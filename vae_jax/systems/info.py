"""InfoVAE and its special cases: a weight on the KL of each example, and a divergence between q(z) and p(z).

    E log p(x | z) − (1 − α) E KL(q(z | x) ‖ p(z)) − (α + λ − 1) D(q(z), p(z))

InfoVAE, arXiv 1706.02262. α = 0, λ = 1 is the VAE, α = 1 − λ the β-VAE with β = λ, α = 1 MMD-VAE, and α = 1 with a
deterministic encoder WAE-MMD (Wasserstein Auto-Encoders, arXiv 1711.01558).
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp

from vae_jax.config import ConfigError, Experiment
from vae_jax.data.dataset import Dataset
from vae_jax.discrepancy import imq, mmd, rbf
from vae_jax.distributions import Array, Key, PointMass
from vae_jax.divergences import has_closed_form
from vae_jax.model import VAE, Params
from vae_jax.nets.layers import layered_init, layered_vae
from vae_jax.systems.autoencoder import autoencoder_loss
from vae_jax.systems.codes import batch_codes, prior_codes
from vae_jax.systems.networks import networks
from vae_jax.systems.parts import POSTERIORS, PRIORS, prior_name
from vae_jax.systems.rate import TermsOf, terms_loss
from vae_jax.systems.system import Batch, Loss, Metrics, System
from vae_jax.terms import elbo_terms, sampled_terms

# Of two samples of codes, `[n, d]` and `[m, d]`.
Divergence = Callable[[Array, Array], Array]


def divergence_weight(alpha: float, scale: float) -> float:
    """`α + λ − 1`. ValueError where it is negative or not a number: the divergence would be driven apart."""
    weight = alpha + scale - 1.0
    if not weight >= 0.0:
        raise ValueError(
            f"InfoVAE: the divergence has the weight α + λ − 1, which must be at least 0, got {weight:g} from α = "
            f"{alpha:g} and λ = {scale:g}. Raise λ to at least {1.0 - alpha:g}."
        )
    return weight


def with_divergence(loss: Loss, vae: VAE, divergence: Divergence, *, weight: float | Array) -> Loss:
    """A loss, and `weight` times the divergence of the batch's codes from as many draws of the prior."""

    def total(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        value, metrics = loss(params, key, batch, step)
        codes = batch_codes(vae, params, key, batch["x"])
        found = divergence(codes, prior_codes(vae, params, key, len(codes)))
        return value + weight * found, {**metrics, "divergence": found}

    return total


def info_loss(vae: VAE, *, alpha: float, scale: float, divergence: Divergence, terms: TermsOf = elbo_terms) -> Loss:
    """Minus the objective of InfoVAE, λ = `scale`, by one draw of z. ValueError where α + λ < 1."""
    weight = divergence_weight(alpha, scale)

    def weigh(params: Params, kl: Array, distortion: Array, step: Array) -> Array:
        return jnp.mean(distortion) + (1.0 - alpha) * jnp.mean(jnp.sum(kl, axis=1))

    return with_divergence(terms_loss(vae, terms, weigh, num_samples=1), vae, divergence, weight=weight)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    model, codes = config.model, config.codes
    if config.train.batch_size < 2:
        raise ConfigError("a divergence of codes needs a batch: use --batch-size 2 or more.")
    q, p = POSTERIORS[model.posterior].kind, PRIORS[prior_name(model)].kind
    layers, prior = networks(model, dataset)
    vae = layered_vae(layers, prior)
    divergence = partial(mmd, kernel={"mmd_rbf": rbf, "mmd_imq": imq}[codes.divergence])
    weight = divergence_weight(codes.info_alpha, codes.info_lambda)
    if q is PointMass:
        if codes.info_alpha != 1.0:
            raise ConfigError(
                f"a {model.posterior} posterior has no KL to be weighed with 1 - α: use --info-alpha 1 (WAE-MMD)."
            )
        loss = with_divergence(autoencoder_loss(vae), vae, divergence, weight=weight)
    else:
        terms = elbo_terms if has_closed_form(q, p) else sampled_terms
        loss = info_loss(vae, alpha=codes.info_alpha, scale=codes.info_lambda, divergence=divergence, terms=terms)
    return System(init=layered_init(layers, prior), loss=loss, vae=vae)
