"""Several stochastic layers as one distribution: each layer is drawn given the layer before it.

    q(z1, z2 | x) = q(z1 | x) q(z2 | z1)        bottom_up(q1, q2_given_z1)
    p(z1, z2)     = p(z2) p(z1 | z2)            top_down(p2, p1_given_z2)

Either way a value is the tuple `(z1, z2, …)`, lowest layer first, so that a posterior and a prior speak of the
same z. Write a conditional that is a network as `jax.tree_util.Partial(apply, params)`: then freezing the
distribution freezes exactly the parameters, and the path from one layer to the next stays open, as path
derivatives need. With a closure over `params` they would be biased.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_key
from vae_jax.core.trees import summed
from vae_jax.core.types import Array, Key
from vae_jax.distributions import Distribution, draws, sample_and_log_prob

# Maps a value of the layer before to the distribution of this one; a pytree, such as `Partial(apply, params)`.
Conditional = Callable[[Any], Distribution]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Chain:
    """A Markov chain of layers: `log p(v) = Σ_i log p_i(v_i | v_{i−1})`, nats.

    `factors`: a distribution, then conditionals, in the order in which they are drawn. `places[i]`: where the
    layer of factor i stands in a value, which is a tuple. Made by `bottom_up` and `top_down`.
    """

    factors: tuple[Any, ...]
    places: tuple[int, ...] = field(metadata={"static": True})

    def _walk(self, visit: Callable[[int, Any], tuple[Any, Any]]) -> tuple[tuple[Any, ...], list[Any]]:
        """`(value of all layers, results)` of `visit(i, distribution of factor i) -> (value of its layer, result)`."""
        layers: dict[int, Any] = {}
        results = []
        value = None
        for i, factor in enumerate(self.factors):
            value, result = visit(i, factor if i == 0 else factor(value))
            layers[self.places[i]] = value
            results.append(result)
        return tuple(layers[place] for place in sorted(layers)), results

    @property
    def event_shape(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the layers of one value, the lowest first."""
        return tuple(layer.shape for layer in jax.eval_shape(Chain.sample, self, jax.random.key(0)))

    @property
    def reparameterised(self) -> bool:
        """Whether the samples of every layer carry a gradient."""
        marks: list[Any] = []

        def draw(chain: Chain, key: Key) -> None:
            marks.extend(chain._walk(lambda i, d: (d.sample(key), getattr(d, "reparameterised", True)))[1])

        jax.eval_shape(draw, self, jax.random.key(0))
        return all(marks)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> tuple[Any, ...]:
        """Values: a tuple of one array `shape + event_shape` per layer."""
        check_key("Chain.sample", key)

        def layers(key: Key) -> tuple[Any, ...]:
            keys = jax.random.split(key, len(self.factors))
            return self._walk(lambda i, d: (d.sample(keys[i]), None))[0]

        return draws(layers, key, shape)

    def log_prob(self, value: tuple[Any, ...]) -> Array:
        """Log-density in nats, a scalar, of one tuple of layers."""
        if not isinstance(value, tuple) or len(value) != len(self.factors):
            raise ValueError(
                f"Chain.log_prob: value must be a tuple of {len(self.factors)} layers, lowest first, got "
                f"{jax.tree.map(jnp.shape, value)}."
            )

        def visit(i: int, distribution: Any) -> tuple[Any, Array]:
            layer = value[self.places[i]]
            return layer, distribution.log_prob(layer)

        return summed(jnp.stack(self._walk(visit)[1]))

    def sample_and_log_prob(self, key: Key) -> tuple[tuple[Any, ...], Array]:
        """A sample and its log-density, by `sample_and_log_prob` of every layer."""
        check_key("Chain.sample_and_log_prob", key)
        keys = jax.random.split(key, len(self.factors))
        value, log_probs = self._walk(lambda i, d: sample_and_log_prob(d, keys[i]))
        return value, summed(jnp.stack(log_probs))


def bottom_up(first: Distribution, *conditionals: Conditional) -> Chain:
    """`p(z1) p(z2 | z1) …`: drawn from the lowest layer up, as a posterior q(z1 | x) q(z2 | z1) is.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    factors = (first, *conditionals)
    return Chain(factors, tuple(range(len(factors))))


def top_down(last: Distribution, *conditionals: Conditional) -> Chain:
    """`p(zL) p(zL−1 | zL) …`: drawn from the highest layer down, as a prior p(z2) p(z1 | z2) is.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    factors = (last, *conditionals)
    return Chain(factors, tuple(reversed(range(len(factors)))))
