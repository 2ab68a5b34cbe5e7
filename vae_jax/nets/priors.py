"""Priors and their parameters.

A prior is a function of its own parameters and of the encoder, `x -> q(z | x)`, which VampPrior needs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.bijections.bijection import Inverse, Stacked
from vae_jax.core.types import Key, PyTree
from vae_jax.distributions import Concrete, DiagNormal, Mixture, OneHotCategorical, UniformSphere, standard_normal
from vae_jax.flows import Transformed
from vae_jax.nets.flow_layers import FLOWS, stacked_layers

Encode = Callable[[Any], Any]


class Prior(NamedTuple):
    """`init(key) -> params`, and `value(params, encode) -> p(z)`, where `encode` is `x -> q(z | x)`."""

    init: Callable[[Key], PyTree]
    value: Callable[[PyTree, Encode], Any]


def fixed(distribution: Any) -> Prior:
    """A prior without parameters."""
    return Prior(lambda key: {}, lambda params, encode: distribution)


def normal(size: int) -> Prior:
    """N(0, I)."""
    return fixed(standard_normal(size))


def scaled(size: int) -> Prior:
    """N(0, diag σ²) with σ learned: the σ of a dimension that is not needed goes to 0."""
    return Prior(
        lambda key: {"log_scale": jnp.zeros(size)},
        lambda params, encode: DiagNormal(jnp.zeros(size), jnp.exp(params["log_scale"])),
    )


def mixture(size: int, components: int) -> Prior:
    """A mixture of diagonal normals with learned weights, means and standard deviations."""

    def init(key: Key) -> PyTree:
        loc = jax.random.normal(key, (components, size))
        return {"logits": jnp.zeros(components), "loc": loc, "log_scale": jnp.zeros((components, size))}

    return Prior(
        init,
        lambda params, encode: Mixture(params["logits"], DiagNormal(params["loc"], jnp.exp(params["log_scale"]))),
    )


def vamp(pseudo_inputs: np.ndarray) -> Prior:
    """VampPrior: the posterior mixed over learned pseudo-inputs, which start at the given examples `[C, …]`.

    Source: VAE with a VampPrior, arXiv 1705.07120.
    """

    def value(params: PyTree, encode: Encode) -> Mixture:
        return Mixture(params["logits"], jax.vmap(encode)(params["pseudo_inputs"]))

    start = {"logits": np.zeros(len(pseudo_inputs), np.float32), "pseudo_inputs": pseudo_inputs}
    return Prior(lambda key: jax.tree.map(jnp.asarray, start), value)


def flow(size: int, layers: int, hidden: Sequence[int], kind: str) -> Prior:
    """N(0, I) through a flow whose density takes one evaluation; `kind`: a name in `FLOWS`.

    "iaf" turned around is the masked autoregressive flow, arXiv 1705.07057: a prior with normal conditionals.
    """
    sizes, make = FLOWS[kind](size, hidden)

    def value(params: PyTree, encode: Encode) -> Transformed:
        return Transformed(standard_normal(size), Inverse(Stacked(make(params))))

    return Prior(lambda key: stacked_layers(key, layers, sizes), value)


def sphere(size: int) -> Prior:
    """The uniform distribution on the unit sphere."""
    return fixed(UniformSphere(size))


def choices(size: int, classes: int) -> Prior:
    """Independent, uniform choices, as one-hot vectors."""
    return fixed(OneHotCategorical(jnp.zeros((size, classes))))


def relaxed_choices(size: int, classes: int, temperature: float) -> Prior:
    """Relaxed uniform choices: under this prior the ELBO of relaxed samples is a bound.

    Source: The Concrete Distribution, arXiv 1611.00712.
    """
    return fixed(Concrete(jnp.zeros((size, classes)), jnp.asarray(temperature)))


def start_examples(x: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` rows of `x` in random order, all different unless x has fewer."""
    order = np.random.default_rng(seed).permutation(len(x))
    return x[np.resize(order, count)]
