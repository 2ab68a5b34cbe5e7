"""Autoencoders: an encoding function, a decoding function, a distance and a penalty on the code.

Sparse (L1, or KL of the mean activation), denoising, contractive and undercomplete autoencoders are one loss with other
arguments. Encoder and decoder may be stochastic. Deep Learning (Goodfellow, Bengio and Courville, 2016), chapter 14;
Extracting and Composing Robust Features with Denoising Autoencoders (Vincent et al., ICML 2008).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.config.fields import Codes, Experiment
from vae_jax.core.examples import over_examples
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.data.units import Units
from vae_jax.models.vae import VAE, Autoencoder
from vae_jax.nets.layers import layered_init, layered_vae
from vae_jax.nets.likelihoods import LIKELIHOODS
from vae_jax.objectives import penalties
from vae_jax.objectives.corruptions import Corruption, uncorrupted
from vae_jax.objectives.penalties import Penalty
from vae_jax.systems.parts.families import POSTERIORS, corruption_of
from vae_jax.systems.parts.networks import networks
from vae_jax.systems.parts.requirements import (
    differentiable_codes,
    gradient_scale,
    one_layer,
    shares_to_corrupt,
    units_to_corrupt,
)
from vae_jax.systems.system import Batch, Loss, Metrics, Spec, System

# `(x, p(x | h)) -> distance`, of one example and the distribution that its code decodes to.
Distance = Callable[[Any, Any], Array]


def negative_log_likelihood(x: Any, decoded: Any) -> Array:
    """`−log p(x | h)`, nats: half the squared error and a constant under a normal of σ = 1."""
    return -decoded.log_prob(x)


def autoencoder_loss(
    coder: Autoencoder | VAE,
    *,
    distance: Distance = negative_log_likelihood,
    penalty: Penalty = penalties.none,
    corrupt: Corruption = uncorrupted,
    parts: int = 1,
) -> Loss:
    """`mean_B distance(x, decode(h)) + penalty`, h drawn from the encoding of the corrupted x. Metrics: both terms.

    With the default distance and no penalty it is the loss of a VAE without its KL. The batch is coded in `parts`, as
    `over_examples` does; a penalty is of the whole of it.
    """

    def loss(params: Params, key: Key, batch: Batch, step: Array) -> tuple[Array, Metrics]:
        del step

        def code_and_distance(key: Key, x: Any) -> tuple[Any, Array]:
            # The same key for the code as in `elbo_terms` with one draw.
            corrupted = corrupt(jax.random.fold_in(key, 1), x)
            code = coder.encode(params, corrupted).sample(jax.random.fold_in(key, 0))
            return code, distance(x, coder.decode(params, code))

        x = batch["x"]
        codes, distances = over_examples(code_and_distance, key, x, parts=parts)
        omega = penalty(lambda x: coder.encode(params, x).mean, codes, x)
        return jnp.mean(distances) + omega, {"distance": jnp.mean(distances), "penalty": omega}

    return loss


def penalty_of(codes: Codes, units: Units | None = None) -> Penalty:
    """The penalty that a config names, with its weight. `units`: those of x, in which a slope by x is taken."""
    by_name = {
        "none": penalties.none,
        "l1": penalties.l1,
        "kl_sparsity": penalties.kl_sparsity(codes.sparsity),
        "contractive": penalties.contractive if units is None else _contractive_in(units),
    }
    penalty = by_name[codes.penalty]
    return lambda encode, h, x: codes.penalty_weight * penalty(encode, h, x)


def _contractive_in(units: Units) -> Penalty:
    """A slope by x in its own units would be that of the columns with the smallest numbers."""

    def penalty(encode: Callable[[Any], Array], codes: Array, x: Any) -> Array:
        def of_units(u: Any) -> Array:
            return encode(units.centre + units.spread * u)

        return penalties.contractive(of_units, codes, jax.vmap(lambda x: (x - units.centre) / units.spread)(x))

    return penalty


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    codes = config.codes
    layers, _ = networks(config.model, dataset)
    vae = layered_vae(layers)
    coder = Autoencoder(vae.encode, vae.decode)
    corrupt = corruption_of(codes, dataset)
    penalty, parts = penalty_of(codes, dataset.units), config.compute.accumulate
    loss = autoencoder_loss(coder, penalty=penalty, corrupt=corrupt, parts=parts)
    undone = None if corrupt is uncorrupted else corrupt
    return System(init=layered_init(layers), loss=loss, vae=coder, corrupt=undone)


def _penalised_codes(config: Experiment) -> str | None:
    penalty, model = config.codes.penalty, config.model
    posterior = POSTERIORS[model.posterior]
    if penalty == "contractive" and LIKELIHOODS[model.likelihood].sees_counts:
        return f"--penalty contractive is a slope by x, and the counts of --likelihood {model.likelihood} have none"
    if penalty == "contractive" and not hasattr(posterior.kind, "mean"):
        return f"--penalty contractive is of a mean code, which {model.posterior} has not: use --posterior point"
    if penalty == "l1" and posterior.space == "choices":
        return f"--penalty l1 is for vectors, and a {model.posterior} posterior has choices: use --posterior point"
    return None


def _weighed_penalty(config: Experiment) -> str | None:
    codes = config.codes
    if codes.penalty == "kl_sparsity" and config.model.posterior != "unit_point":
        return "--penalty kl_sparsity is for activations between 0 and 1: use --posterior unit_point"
    if codes.penalty == "kl_sparsity" and config.train.batch_size < 2:
        return "--penalty kl_sparsity takes a mean over the batch: use --batch-size 2 or more"
    if codes.penalty != "none" and not codes.penalty_weight:
        return f"--penalty {codes.penalty} has no effect with --penalty-weight 0"
    if codes.penalty == "none" and codes.penalty_weight:
        return f"--penalty-weight {codes.penalty_weight} needs a --penalty: l1, kl_sparsity or contractive"
    return None


def _slopes_of_columns(config: Experiment) -> str | None:
    if config.codes.penalty != "contractive" or config.model.likelihood != "columns":
        return None
    return "--penalty contractive is a slope by x, and choices and counts in columns have none: use --penalty l1"


SPEC = Spec(
    build,
    reads=(
        *("codes.penalty", "codes.penalty_weight", "codes.sparsity"),
        *("codes.corruption", "codes.corruption_level", "codes.corruption_shift"),
        "compute.accumulate",
    ),
    requires=(
        *(one_layer, differentiable_codes, gradient_scale, shares_to_corrupt),
        *(_penalised_codes, _weighed_penalty),
    ),
    doubts=(units_to_corrupt, _slopes_of_columns),
)
