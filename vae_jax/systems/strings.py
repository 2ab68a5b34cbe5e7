"""A VAE of strings as derivations of a grammar: the Grammar-VAE, or with `--grammar characters` a VAE of characters.

Grammar Variational Autoencoder, arXiv 1703.01925. The loss is that of any VAE, so minus it is a bound on the
log-probability of a string's derivation. The loss of the paper, `published_loss`, is not minus a bound.
"""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from vae_jax.config.fields import Experiment, Objective
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Array, Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.distributions import DiagNormal
from vae_jax.distributions.divergences import kl_terms
from vae_jax.languages import molecules
from vae_jax.models.vae import VAE
from vae_jax.nets.layers import StochasticLayer, layered_init, layered_vae
from vae_jax.nets.mlp import OneExample
from vae_jax.nets.recurrent import DerivationDecoder, RuleConvolutions
from vae_jax.systems.parts.families import POSTERIORS, PRIORS, prior_name
from vae_jax.systems.parts.networks import ACTIVATIONS
from vae_jax.systems.parts.objective import constrained, mean_loss, staged_objective
from vae_jax.systems.parts.requirements import gradient_scale, one_layer, trainable_bound
from vae_jax.systems.system import Metrics, Spec, System

# Standard deviation of the noise from which the paper's code draws z, in units of that of the posterior.
PUBLISHED_NOISE = 0.01


def narrowed(vae: VAE) -> VAE:
    """The model with the posterior's standard deviation times `PUBLISHED_NOISE`, from which the paper's code draws."""

    def encode(params: Params, x: Array) -> DiagNormal:
        posterior = vae.encode(params, x)
        return DiagNormal(posterior.loc, PUBLISHED_NOISE * posterior.scale)

    return vae._replace(encode=encode)


def published_loss(vae: VAE, params: Params, key: Key, x: Array) -> tuple[Array, Metrics]:
    """−log p(x | z) of a draw from the narrowed posterior, plus the mean over dimensions of the KL of the posterior.

    It is not minus a bound: the KL is not that of the distribution drawn from, and it is divided by the size of z.
    """
    posterior = vae.encode(params, x)
    z = DiagNormal(posterior.loc, PUBLISHED_NOISE * posterior.scale).sample(key)
    log_likelihood = vae.decode(params, z).log_prob(x)
    mean_kl = jnp.mean(kl_terms(posterior, vae.prior(params)))
    return mean_kl - log_likelihood, {"log_likelihood": log_likelihood, "mean_kl": mean_kl}


def build(config: Experiment, dataset: Dataset) -> System:
    """The system of a config. ConfigError or ValueError where the data do not fit the model."""
    model, strings, grammar = config.model, config.strings, dataset.grammar
    if grammar is None:
        raise ConfigError(f"--system strings is for strings: equations, zinc, a .txt or .smi file; not {dataset.name}.")
    if strings.valid_as == "molecules":
        # RDKit is needed after training, so its absence is an error before it.
        molecules.check_installed()
    trunk = [
        OneExample(dataset.shape),
        RuleConvolutions(grammar.end + 1, model.hidden, ACTIVATIONS[model.activation]),
        POSTERIORS[model.posterior].make(model),
    ]
    decoder = DerivationDecoder(grammar, dataset.shape[0], strings.recurrent_size, strings.rule_embedding)
    layers = [StochasticLayer(nn.Sequential(trunk), decoder, model.latent_size)]
    prior = PRIORS[prior_name(model)].make(model, np.zeros((0, *dataset.shape), np.float32))
    vae, init = layered_vae(layers, prior), layered_init(layers, prior)
    if strings.published_scaling:
        loss = mean_loss(vae, published_loss, parts=config.compute.accumulate)
        return System(init=init, loss=loss, vae=narrowed(vae))
    return constrained(System(init=init, loss=staged_objective(vae, config, dataset), vae=vae), config.objective)


def _writes_rules(config: Experiment) -> str | None:
    model = config.model
    if model.likelihood != "categorical":
        return f"--system strings chooses rules: use --likelihood categorical, not {model.likelihood}"
    if model.network != "mlp" or model.autoregressive_layers or model.upper_latent_sizes or model.prior == "vamp":
        return (
            "--system strings has networks of its own and one layer of codes: leave out --network, "
            "--autoregressive-layers and --upper-latent-sizes, and use another prior than vamp"
        )
    if POSTERIORS[model.posterior].space != "vectors":
        return f"--system strings decodes a vector: --posterior {model.posterior} is none; use diagonal"
    return None


def _published_alone(config: Experiment) -> str | None:
    plain = config.model.posterior == "diagonal" and config.objective == Objective()
    if plain or not config.strings.published_scaling:
        return None
    return "--published-scaling is a loss of its own, for --posterior diagonal: leave out the fields of the objective"


SPEC = Spec(
    build,
    reads=("objective", "strings", "compute.accumulate"),
    requires=(_writes_rules, trainable_bound, one_layer, gradient_scale, _published_alone),
)
