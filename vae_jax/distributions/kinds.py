"""Which distributions have probabilities, and which have densities."""

from typing import Any

import jax

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
    known = (*_DISCRETE, *_CONTINUOUS)
    parts = jax.tree.leaves(distribution, is_leaf=lambda node: isinstance(node, known))
    found = [part for part in parts if isinstance(part, known)]
    return bool(found) and all(isinstance(part, _DISCRETE) for part in found)
