"""The networks of a config: its stochastic layers and the prior of the highest, for a given dataset."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from vae_jax.config.fields import Model
from vae_jax.core.errors import ConfigError
from vae_jax.core.types import Key, Params
from vae_jax.data.dataset import Dataset
from vae_jax.data.values import are_shares
from vae_jax.models.vae import VAE
from vae_jax.nets import conv, mlp
from vae_jax.nets.columns import OneRow
from vae_jax.nets.grid import grid, grid_sides
from vae_jax.nets.ladder import Ladder, dense_ladder, grid_ladder, ladder_init, ladder_vae
from vae_jax.nets.layers import StochasticLayer, between, layered_init, layered_vae
from vae_jax.nets.likelihoods import KINDS, LIKELIHOODS, Elements
from vae_jax.nets.mlp import OneExample
from vae_jax.nets.pixelcnn import AutoregressiveHead
from vae_jax.nets.priors import Prior
from vae_jax.systems.parts.families import FLOW_POSTERIORS, POSTERIORS, PRIORS, prior_name

ACTIVATIONS = {"tanh": nn.tanh, "relu": nn.relu, "silu": nn.silu, "gelu": nn.gelu, "softplus": nn.softplus}
# A VampPrior starts at some of the first so many examples.
_START_EXAMPLES = 5000
# Where the standard deviation of a normal starts, of data that are not standardised.
_START_SCALE = 0.1


def networks(model: Model, dataset: Dataset) -> tuple[list[StochasticLayer], Prior]:
    """The stochastic layers of a config, the lowest (that of x) first, and the prior of the highest.

    ConfigError or ValueError where the data do not fit the model.
    """
    check_data(model, dataset)
    return stochastic_layers(model, dataset.shape, elements_of(dataset)), highest_prior(model, dataset)


def vae_networks(model: Model, dataset: Dataset) -> tuple[VAE, Callable[[Key, dict[str, Any]], Params]]:
    """The VAE of a config, and `(key, batch) -> params`. ConfigError or ValueError where the data do not fit it."""
    if model.latent_layers:
        check_data(model, dataset)
        ladder = ladder_networks(model, dataset.shape, elements_of(dataset))
        return ladder_vae(ladder), ladder_init(ladder)
    layers, prior = networks(model, dataset)
    return layered_vae(layers, prior), layered_init(layers, prior)


def elements_of(dataset: Dataset) -> Elements:
    """What networks must know of the elements of x."""
    return Elements(dataset.mean(), dataset.levels, dataset.units, dataset.columns)


def stochastic_layers(model: Model, shape: tuple[int, ...], elements: Elements) -> list[StochasticLayer]:
    """The layers for examples of `shape`."""
    activation, family = ACTIVATIONS[model.activation], POSTERIORS[model.posterior]
    posterior = family.make(model)
    options: dict[str, Any] = {"reader": reader(model, shape, elements), "activation": activation}
    head = likelihood_head(model, elements)
    if model.network == "grid":
        lowest = grid(shape, posterior, head, channels=model.hidden, **options)
    elif model.network == "conv":
        lowest = conv(shape, posterior, head, channels=model.hidden, **options)
    else:
        lowest = mlp(shape, posterior, head, hidden=model.hidden, **options)
    classes = model.classes if family.space == "choices" else None
    layers = [StochasticLayer(*lowest, code_size(model, shape), classes)]
    for size in model.upper_latent_sizes:
        below = layers[-1].latent_size
        layers.append(StochasticLayer(*between(below, size, hidden=model.upper_hidden, activation=activation), size))
    return layers


def ladder_networks(model: Model, shape: tuple[int, ...], elements: Elements) -> Ladder:
    """The layers of a config along one path, for examples of `shape`."""
    options: dict[str, Any] = {"size": model.latent_size, "activation": ACTIVATIONS[model.activation]}
    options["reader"] = reader(model, shape, elements)
    head = likelihood_head(model, elements)
    if model.network == "grid":
        return grid_ladder(shape, head, layers=model.latent_layers, channels=model.hidden, **options)
    if model.posterior in FLOW_POSTERIORS:
        options["flow"] = POSTERIORS[model.posterior].make(model)
    return dense_ladder(shape, head, layers=model.latent_layers[0], width=model.hidden[0], **options)


def code_size(model: Model, shape: tuple[int, ...]) -> int:
    """The dimension of z; of a grid, that of all its places together."""
    places = math.prod(grid_sides(shape, len(model.hidden))) if model.network == "grid" else 1
    return places * model.latent_size


def reader(model: Model, shape: tuple[int, ...], elements: Elements) -> nn.Module:
    """What x goes through before a network sees it: numbers near 1."""
    if elements.columns is not None and elements.units is not None:
        return OneRow(elements.columns, elements.units)
    return OneExample(shape, _divisor(model, elements), elements.units)


def _divisor(model: Model, elements: Elements) -> int:
    return (elements.levels or 1) if LIKELIHOODS[model.likelihood].sees_counts else 1


def likelihood_head(model: Model, elements: Elements) -> Any:
    """The head of p(x | z)."""
    default = _START_SCALE if elements.units is None else 1.0
    start = default if model.initial_scale is None else model.initial_scale
    head = LIKELIHOODS[model.likelihood].make(elements, start, model.likelihood_scale)
    if model.autoregressive_layers:
        head = AutoregressiveHead(
            head,
            model.autoregressive_layers,
            levels=_divisor(model, elements),
            reach=model.autoregressive_reach,
            context=model.autoregressive_context,
            units=elements.units,
        )
    return head


def highest_prior(model: Model, dataset: Dataset) -> Prior:
    """The prior of a config on its highest layer; a VampPrior starts at training examples."""
    size = (code_size(model, dataset.shape), *model.upper_latent_sizes)[-1]
    highest = dataclasses.replace(model, latent_size=size)
    # A system may be built inside a trace, but these examples must be concrete.
    with jax.ensure_compile_time_eval():
        # They become parameters, so they are real numbers even where x is counts.
        examples = np.asarray(dataset.shown(dataset.train.x[:_START_EXAMPLES]), np.float32)
        if dataset.columns is not None:
            # Nor have they gaps.
            examples = np.where(np.isnan(examples), dataset.mean(), examples)
    return PRIORS[prior_name(model)].make(highest, examples)


def check_data(model: Model, dataset: Dataset) -> None:
    """ConfigError where the likelihood is not one of what the dataset holds."""
    shape = dataset.shape
    colours_first = len(shape) == 3 and shape[0] in (1, 3) and shape[2] not in (1, 3)
    if colours_first and (model.network != "mlp" or model.autoregressive_layers):
        raise ConfigError(
            f"{dataset.name} has images of shape {shape}, colours first, and networks for images take them last: save "
            "x.transpose(0, 2, 3, 1)."
        )
    if model.autoregressive_layers and not dataset.is_image:
        raise ConfigError(
            f"--autoregressive-layers {model.autoregressive_layers} is for images, but an example of {dataset.name} "
            f"has the shape {dataset.shape}."
        )
    kind = LIKELIHOODS[model.likelihood].of
    if dataset.units is not None and kind not in ("reals", "columns"):
        raise ConfigError(
            f"--standardise is for --likelihood normal or student_t, and {model.likelihood} is for {KINDS[kind]}."
        )
    shares = dataset.levels is not None or are_shares(dataset.train.x)
    fits = {
        "bits": dataset.is_binary,
        "counts": dataset.levels is not None,
        "unbounded": dataset.levels is not None,
        # Shares of the largest count, or real numbers between 0 and 1.
        "intensities": shares,
        "reals": dataset.columns is None,
        "columns": dataset.columns is not None,
    }
    if not fits[kind]:
        holds = "real numbers" if dataset.levels is None else f"counts 0..{dataset.levels}"
        holds = holds if dataset.columns is None else "a table of columns"
        remedy = (
            "--likelihood columns"
            if dataset.columns is not None
            else "--binarisation dynamic (or static)"
            if kind == "bits" and shares
            else "--likelihood normal"
        )
        raise ConfigError(
            f"a {model.likelihood} likelihood is for {KINDS[kind]}, but {dataset.name} holds {holds}. Use {remedy}."
        )
