"""A conditional model p(x | y) as a VAE over pairs, so that every function of a VAE takes it.

An example is `{"x": x, "condition": y}`, and every density is that of x given y.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax

from vae_jax.core.checks import check_key
from vae_jax.core.types import Array, Key, Params
from vae_jax.distributions import draws
from vae_jax.models.vae import VAE


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class GivenCondition:
    """p(x | z, y) as a distribution of pairs: `log_prob` is that of x given the condition beside it.

    `decode` maps a condition to p(x | z, y); it is a pytree, such as a `Partial`. `sample` draws a condition from
    `conditions` `[n, c]`, each with the same probability.
    """

    decode: Callable[[Array], Any] = field()
    conditions: Array

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> dict[str, Any]:
        """Pairs of a condition and of x given that condition."""
        check_key("GivenCondition.sample", key, shape)

        def pair(key: Key) -> dict[str, Any]:
            condition_key, x_key = jax.random.split(key)
            y = self.conditions[jax.random.randint(condition_key, (), 0, len(self.conditions))]
            return {"x": self.decode(y).sample(x_key), "condition": y}

        return draws(pair, key, shape)

    def log_prob(self, value: dict[str, Any]) -> Array:
        """log p(x | z, y), nats, a scalar."""
        return self.decode(value["condition"]).log_prob(value["x"])


def paired(given: Callable[[Array], VAE], conditions: Array) -> VAE:
    """The VAE over pairs of `given(y)`, the model of x under y, whose prior must not depend on y.

    Sampling draws conditions from `conditions` `[n, c]`.
    `log_marginal(paired(given, ys), params, key, {"x": x, "condition": y}, …)` is log p(x | y).
    """

    def decode(params: Params, z: Any) -> GivenCondition:
        given_condition = jax.tree_util.Partial(lambda params, z, y: given(y).decode(params, z), params, z)
        return GivenCondition(given_condition, conditions)

    return VAE(
        encode=lambda params, pair: given(pair["condition"]).encode(params, pair["x"]),
        decode=decode,
        prior=lambda params: given(conditions[0]).prior(params),
    )
