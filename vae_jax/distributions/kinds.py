"""Which distributions have probabilities, and which have densities."""

from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.distributions.autoregressive import Autoregressive
from vae_jax.distributions.continuous import ContinuousBernoulli, StudentT
from vae_jax.distributions.counts import Binomial, NegativeBinomial, Poisson
from vae_jax.distributions.derivation import Derivation
from vae_jax.distributions.discrete import Bernoulli, Categorical
from vae_jax.distributions.logistic import DiscretisedLogistic
from vae_jax.distributions.normal import DiagNormal, FullNormal
from vae_jax.distributions.relaxed import OneHotCategorical

_DISCRETE = (
    *(Bernoulli, Binomial, Categorical, Derivation, DiscretisedLogistic, NegativeBinomial, OneHotCategorical, Poisson),
)
_CONTINUOUS = (ContinuousBernoulli, DiagNormal, FullNormal, StudentT)


def is_discrete(distribution: Any) -> bool:
    """Whether `log_prob` is a log-probability: of the distribution, or of all that it is put together from.

    False for one that this package does not know.
    """
    found = known_parts(distribution)
    return bool(found) and all(isinstance(part, _DISCRETE) for part in found)


def conditional_of(distribution: Autoregressive) -> Any:
    """What each element has given those before it, abstract. The conditional may be a function, or abstract itself."""
    start, of = jnp.zeros(distribution.shape), distribution.conditional
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(of)):
        return jax.eval_shape(lambda of: of(start), of)
    return jax.eval_shape(of, start)


def known_parts(distribution: Any) -> list[Any]:
    """What a distribution is put together from, abstract or not; nothing of those that this package does not know."""
    known = (*_DISCRETE, *_CONTINUOUS, Autoregressive)
    parts = jax.tree.leaves(distribution, is_leaf=lambda node: isinstance(node, known))
    found: list[Any] = []
    for part in parts:
        if isinstance(part, Autoregressive):
            found += known_parts(conditional_of(part))
        elif isinstance(part, known):
            found.append(part)
    return found
