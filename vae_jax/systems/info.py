"""InfoVAE and its special cases: a weight on the KL of each example, and a divergence between q(z) and p(z).

    E log p(x | z) − (1 − α) E KL(q(z | x) ‖ p(z)) − (α + λ − 1) D(q(z), p(z))

InfoVAE, arXiv 1706.02262. α = 0, λ = 1 is the VAE, α = 1 − λ the β-VAE with β = λ, α = 1 MMD-VAE, and α = 1 with a
deterministic encoder WAE-MMD (Wasserstein Auto-Encoders, arXiv 1711.01558).
"""

from collections.abc import Callable
from functools import partial

import jax.numpy as jnp

from vae_jax.config.fields import Experiment
from vae_jax.core.checks import is_known
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import PointMass
from vae_jax.models.vae import VAE
from vae_jax.objectives.discrepancy import imq, mmd, rbf
from vae_jax.systems.parts.coded import Coded, coded_loss, prior_codes
from vae_jax.systems.parts.families import POSTERIORS
from vae_jax.systems.parts.networks import vae_networks
from vae_jax.systems.parts.requirements import (
    differentiable_codes,
    drawn_bound,
    gradient_scale,
    one_layer,
    two_in_a_batch,
)
from vae_jax.systems.system import Loss, Metrics, Spec, System

# `(codes [n, d], codes [m, d]) -> scalar`.
Divergence = Callable[[Array, Array], Array]


def divergence_weight(alpha: float | Array, scale: float | Array) -> float | Array:
    """`α + λ − 1`. ValueError unless it is at least 0: a negative weight would drive q(z) and p(z) apart."""
    weight = alpha + scale - 1.0
    if is_known(weight) and not weight >= 0.0:
        raise ValueError(
            f"InfoVAE: the divergence has the weight α + λ − 1, which must be at least 0, got {weight:g} from α = "
            f"{alpha:g} and λ = {scale:g}. Raise λ to at least {1.0 - alpha:g}."
        )
    return weight


def info_loss(vae: VAE, *, alpha: float | Array, scale: float | Array, divergence: Divergence, parts: int = 1) -> Loss:
    """Minus the objective of InfoVAE, λ = `scale`, by one draw of z. ValueError where α + λ < 1.

    A `PointMass` posterior has no KL, so α must then be 1, which is WAE-MMD. The batch is coded in `parts`, and the
    divergence is of the whole of it. Metrics: those of the batch, `divergence`.
    """
    weight = divergence_weight(alpha, scale)

    def objective(params: Params, key: Key, batch: Coded) -> tuple[Array, Metrics]:
        distance = divergence(batch.codes, prior_codes(vae, params, key, len(batch.codes)))
        loss = jnp.mean(batch.distortion) + (1.0 - alpha) * jnp.mean(batch.rate) + weight * distance
        return loss, {**batch.metrics(), "divergence": distance}

    return coded_loss(vae, objective, parts=parts)


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    model, codes = config.model, config.codes
    vae, init = vae_networks(model, dataset)
    divergence = partial(mmd, kernel={"mmd_rbf": rbf, "mmd_imq": imq}[codes.divergence])
    loss = info_loss(
        vae,
        alpha=codes.info_alpha,
        scale=codes.info_lambda,
        divergence=divergence,
        parts=config.compute.accumulate,
    )
    return System(init=init, loss=loss, vae=vae)


def _kl_has_no_weight(config: Experiment) -> str | None:
    if POSTERIORS[config.model.posterior].kind is not PointMass or config.codes.info_alpha == 1.0:
        return None
    return f"a {config.model.posterior} posterior has no KL to be weighed with 1 - α: use --info-alpha 1 (WAE-MMD)"


SPEC = Spec(
    build,
    reads=("codes.divergence", "codes.info_alpha", "codes.info_lambda", "compute.accumulate"),
    requires=(one_layer, differentiable_codes, gradient_scale, drawn_bound, two_in_a_batch, _kl_has_no_weight),
)
