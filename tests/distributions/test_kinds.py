import jax.numpy as jnp
import pytest
from jax.tree_util import Partial

import vae_jax as vj
from tests.families import DISTRIBUTIONS
from vae_jax.distributions.kinds import is_discrete

BITS, NORMAL = vj.Bernoulli(jnp.zeros(2)), vj.DiagNormal(jnp.zeros(2), jnp.ones(2))


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (BITS, True),
        (vj.Poisson(jnp.zeros(2)), True),
        (vj.DiscretisedLogistic(jnp.zeros(2), jnp.ones(2), 3), True),
        (vj.Masked(BITS), True),
        (vj.Product({"a": BITS, "b": vj.Categorical(jnp.zeros((2, 3)))}), True),
        (vj.Product({"a": BITS, "b": NORMAL}), False),
        (vj.Mixture(jnp.zeros(2), NORMAL), False),
        (vj.Autoregressive(Partial(lambda v: vj.Bernoulli(v)), (2,)), True),
        (vj.Autoregressive(Partial(lambda v: vj.Masked(vj.DiagNormal(v, jnp.ones(2)))), (2,)), False),
        (vj.Autoregressive(lambda v: vj.Bernoulli(v), (2,)), True),
        (vj.Autoregressive(Partial(lambda table, v: vj.Categorical(table[v]), jnp.zeros((3, 3))), (2,)), True),
        (NORMAL, False),
        (object(), False),
    ],
)
def test_a_whole_is_discrete_where_all_its_parts_are(distribution, expected: bool) -> None:
    assert is_discrete(distribution) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("Bernoulli", "Binomial", "Categorical", "Derivation", "DiscretisedLogistic", "NegativeBinomial"),
        *("OneHotCategorical", "Poisson"),
    ],
)
def test_what_has_probabilities_is_discrete(name: str) -> None:
    assert is_discrete(DISTRIBUTIONS[name].value)


@pytest.mark.parametrize("name", ["ContinuousBernoulli", "DiagNormal", "FullNormal", "StudentT"])
def test_what_has_a_density_is_not_and_nor_is_what_it_is_part_of(name: str) -> None:
    density = DISTRIBUTIONS[name].value
    assert not is_discrete(density)
    assert not is_discrete(vj.Product({"a": BITS, "b": density}))
