"""Which distributions have probabilities, and which have densities."""

from typing import Any

import jax

from vae_jax.distributions.autoregressive import Autoregressive
from vae_jax.distributions.continuous import ContinuousBernoulli, StudentT
from vae_jax.distributions.counts import Binomial, NegativeBinomial, Poisson
from vae_jax.distributions.derivation import Derivation
from vae_jax.distributions.discrete import Bernoulli, Categorical
from vae_jax.distributions.hierarchy import Chain
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


def known_parts(distribution: Any) -> list[Any]:
    """What a distribution is put together from; nothing of those that this package does not know."""
    return parts_of(distribution, (*_DISCRETE, *_CONTINUOUS))


def parts_of(distribution: Any, kinds: tuple[type, ...]) -> list[Any]:
    """The parts of these kinds, abstract or not, also of a layer given those before it, or an element given others."""
    opened = (*kinds, Autoregressive, Chain)
    found: list[Any] = []
    for part in jax.tree.leaves(distribution, is_leaf=lambda node: isinstance(node, opened)):
        if isinstance(part, kinds):
            found.append(part)
        elif isinstance(part, Chain):
            found += parts_of(_traced(lambda chain: chain.sample_and_layers(jax.random.key(0))[1], part), kinds)
        elif isinstance(part, Autoregressive):
            found += parts_of(_traced(lambda whole: whole.conditional(whole.start), part), kinds)
    return found


def _traced(function: Any, part: Any) -> Any:
    """What a function gives of a part, abstract. The part may be abstract itself, or a plain function."""
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(part)):
        return jax.eval_shape(function, part)
    return jax.eval_shape(lambda: function(part))
