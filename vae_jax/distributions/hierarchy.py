"""Several stochastic layers as one distribution: each layer is drawn given the layer before it.

    q(z1, z2 | x) = q(z1 | x) q(z2 | z1)        bottom_up(q1, q2_given_z1)
    p(z1, z2)     = p(z2) p(z1 | z2)            top_down(p2, p1_given_z2)

and with a path of states from the highest layer down, which every layer reads and adds to, so that it sees all those
above it:

    z_i ~ p(z_i | s_i),    s_{i−1} = step_i(s_i, z_i)          top_down_path(start, factors, steps)

Either way a value is the tuple `(z1, z2, …)`, lowest layer first, so that a posterior and a prior speak of the
same z. Write a conditional that is a network as `jax.tree_util.Partial(apply, params)`: then freezing the
distribution freezes exactly the parameters, and the path from one layer to the next stays open, as path
derivatives need. With a closure over `params` they would be biased.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from vae_jax.core.checks import check_key
from vae_jax.core.trees import freeze, summed
from vae_jax.core.types import Array, Key
from vae_jax.distributions import DiagNormal, Distribution, draws, sample_and_log_prob
from vae_jax.distributions.distribution import discrete, discretely, is_reparameterised

# Maps a value of the layer before, or the state, to the distribution of a layer; a pytree, such as `Partial(apply, p)`.
Conditional = Callable[[Any], Distribution]
# Maps the state before a layer and its value to the state after it; a pytree too.
Step = Callable[[Any, Any], Any]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Chain:
    """Layers drawn one after the other: `log p(v) = Σ_i log p_i(v_i | s_i)`, nats.

    `factors`: a distribution, then conditionals, in the order in which they are drawn. `places[i]`: where the
    layer of factor i stands in a value, which is a tuple. The state s_i is the value of the layer before, unless there
    are `steps`: then it begins at `start`, step i maps it and the value of layer i to the next one, and every factor is
    a conditional. Made by `bottom_up`, `top_down` and `top_down_path`.
    """

    factors: tuple[Any, ...]
    places: tuple[int, ...] = field(metadata={"static": True})
    start: Any = None
    steps: tuple[Step, ...] | None = None

    def _walk(self, draw: Callable[[int, Any], tuple[Any, Any]]) -> tuple[tuple[Any, ...], tuple[Any, ...], Any]:
        """`(values, results, last state)` of `draw(i, distribution of factor i) -> (value of its layer, result)`.

        Values and results stand in the order of a value, the lowest layer first.
        """
        drawn = []
        state = self.start
        for i, factor in enumerate(self.factors):
            value, result = draw(i, factor if i == 0 and self.steps is None else factor(state))
            drawn.append((value, result))
            state = value if self.steps is None else self.steps[i](state, value)
        values, results = zip(*(drawn[self.places.index(place)] for place in range(len(drawn))), strict=True)
        return values, results, state

    @property
    def event_shape(self) -> tuple[Any, ...]:
        """Shapes of the layers of one value, the lowest first."""
        return jax.tree.map(jnp.shape, self._abstractly(Chain.sample))

    @property
    def reparameterised(self) -> bool:
        """Whether the samples of every layer carry a gradient."""
        marks: list[Any] = []

        def draw(chain: Chain, key: Key) -> None:
            marks.extend(chain._walk(lambda i, d: (d.sample(key), is_reparameterised(d)))[1])

        self._abstractly(draw)
        return all(marks)

    def _abstractly(self, function: Callable[[Any, Key], Any]) -> Any:
        """The shapes of what a function of the chain and a key gives; the chain may be one of shapes itself."""
        leaves, structure = jax.tree.flatten(self)
        # A function may be a leaf too, and stays what it is.
        arrays = {i: leaf for i, leaf in enumerate(leaves) if not callable(leaf)}

        def given(arrays: dict[int, Any], key: Key) -> Any:
            return function(structure.unflatten([arrays.get(i, leaf) for i, leaf in enumerate(leaves)]), key)

        return jax.eval_shape(given, arrays, jax.random.key(0))

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> tuple[Any, ...]:
        """Values: a tuple of one array `shape + event_shape` per layer."""
        check_key("Chain.sample", key, shape)
        return draws(lambda key: self.sample_and_layers(key)[0], key, shape)

    def sample_and_layers(self, key: Key) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """A sample, and the distribution of each layer given those drawn before it, the lowest first."""
        keys = self._keys("sample_and_layers", key)
        return self._walk(lambda i, d: (d.sample(keys[i]), d))[:2]

    def log_prob(self, value: tuple[Any, ...]) -> Array:
        """Log-density in nats, a scalar, of one tuple of layers."""
        return summed(self.layer_log_probs(value))

    def layer_log_probs(self, value: tuple[Any, ...]) -> Array:
        """`[layers]`: the log-density of each layer given those drawn before it, nats, the lowest first."""
        # Each at once, so that a batch of values is refused by the layer that is one, not by the network after it.
        return jnp.stack(self._at(value, lambda layer, z: layer.log_prob(z))[1])

    def layers(self, value: tuple[Any, ...]) -> tuple[Any, ...]:
        """The distribution of each layer given those of `value` that are drawn before it, the lowest first."""
        return self._at(value, lambda layer, z: layer)[1]

    @property
    def means(self) -> tuple[Any, ...]:
        """The mean of each layer given the means of those drawn before it; not the mean of the whole distribution.

        Of a flow, whose mean is not known, the image of its base's mean. TypeError for a layer that has neither.
        """
        return self._walk(lambda i, d: (_middle(d), None))[0]

    def tempered(self, temperatures: Array) -> "Chain":
        """The same with the scale of every layer times its temperature `[layers]`, the lowest first.

        At 0 a layer is at its mean, up to a scale of 1e-12 of its own. TypeError, when it is drawn, for a layer that is
        no `DiagNormal`. Source: Glow: Generative Flow with Invertible 1x1 Convolutions, arXiv 1807.03039, section 6.
        """
        warm = [jnp.maximum(temperatures[place], 1e-12) for place in self.places]
        first, *others = self.factors
        cooled = [Partial(_cooled, t, factor) for t, factor in zip(warm[1:], others, strict=True)]
        # The first factor of a Markov chain is a distribution itself.
        first = _cool(warm[0], first) if self.steps is None else Partial(_cooled, warm[0], first)
        return replace(self, factors=(first, *cooled))

    @property
    def discrete(self) -> "Chain":
        """The same with each relaxed layer replaced by its discrete distribution, whose values the next layer sees."""
        given = [Partial(discretely, factor) for factor in self.factors]
        # The first factor of a Markov chain is a distribution itself.
        return replace(self, factors=(discrete(self.factors[0]), *given[1:]) if self.steps is None else tuple(given))

    def end(self, value: tuple[Any, ...]) -> Any:
        """The state after the last layer, for what is drawn given all of them. Of a Markov chain its last value."""
        return self._at(value, lambda layer, z: None)[2]

    def _at(self, value: tuple[Any, ...], result: Callable[[Any, Any], Any]) -> tuple[Any, tuple[Any, ...], Any]:
        """The walk over one value, with `result(distribution, value)` of each layer."""
        if not isinstance(value, tuple) or len(value) != len(self.factors):
            raise ValueError(
                f"Chain: value must be a tuple of {len(self.factors)} layers, lowest first, got "
                f"{jax.tree.map(jnp.shape, value)}."
            )
        return self._walk(lambda i, d: (value[self.places[i]], result(d, value[self.places[i]])))

    def sample_and_log_prob(self, key: Key) -> tuple[tuple[Any, ...], Array]:
        """A sample and its log-density, by `sample_and_log_prob` of every layer."""
        check_key("Chain.sample_and_log_prob", key)
        value, log_probs = self.sample_and_layer_log_probs(key)
        return value, summed(log_probs)

    def sample_and_path_log_prob(self, key: Key) -> tuple[tuple[Any, ...], Array]:
        """As `sample_and_log_prob`, but its gradient goes through the values alone. First derivatives only.

        A layer with a method of this name, such as a flow, is asked for its own, which does not invert the sample.
        """
        keys = self._keys("sample_and_path_log_prob", key)

        def drawn(i: int, layer: Any) -> tuple[Any, Any]:
            if hasattr(layer, "sample_and_path_log_prob"):
                return layer.sample_and_path_log_prob(keys[i])
            return layer.sample(keys[i]), None

        value, paths, _ = self._walk(drawn)

        def density(i: int, layer: Any) -> tuple[Any, Array]:
            z, path = value[self.places[i]], paths[self.places[i]]
            if path is None:
                return z, layer.log_prob(z)
            # The path of the layer's own value is in `path`. Its density depends on the layers before it too: on the
            # way forward that is the whole gradient less the path, here where the parameters are still.
            by_state = sample_and_log_prob(layer, keys[i])[1] - layer.sample_and_path_log_prob(keys[i])[1]
            return z, path + by_state

        return value, summed(jnp.stack(freeze(self)._walk(density)[1]))

    def sample_and_layer_log_probs(self, key: Key) -> tuple[tuple[Any, ...], Array]:
        """A sample and `layer_log_probs` of it."""
        keys = self._keys("sample_and_layer_log_probs", key)
        value, log_probs, _ = self._walk(lambda i, d: sample_and_log_prob(d, keys[i]))
        return value, jnp.stack(log_probs)

    def _keys(self, method: str, key: Key) -> Array:
        check_key(f"Chain.{method}", key)
        return jax.random.split(key, len(self.factors))


def _middle(distribution: Any) -> Any:
    for name in ("mean", "centre"):
        if hasattr(distribution, name):
            return getattr(distribution, name)
    raise TypeError(f"Chain.means: a layer must have a mean, and {type(distribution).__name__} has none.")


def _cool(temperature: Array, distribution: Any) -> DiagNormal:
    if not isinstance(distribution, DiagNormal):
        raise TypeError(f"Chain.tempered: a layer must be a DiagNormal, got {type(distribution).__name__}.")
    return DiagNormal(distribution.mean, temperature * distribution.stddev)


def _cooled(temperature: Array, factor: Conditional, state: Any) -> DiagNormal:
    return _cool(temperature, factor(state))


def _check_partial(where: str, functions: Sequence[Any]) -> None:
    """TypeError for a plain function, whose parameters neither a derivative nor `freeze` can see."""
    for function in functions:
        # A functools.partial and a compiled function are leaves too.
        if jax.tree_util.all_leaves([function]):
            name = getattr(function, "__qualname__", type(function).__name__)
            raise TypeError(
                f"{where}: {name} is a plain function, whose parameters are not seen. Give "
                "jax.tree_util.Partial(function, parameters), which calls function(parameters, value)."
            )


def bottom_up(first: Distribution, *conditionals: Conditional) -> Chain:
    """`p(z1) p(z2 | z1) …`: drawn from the lowest layer up, as a posterior q(z1 | x) q(z2 | z1) is.

    `conditionals`: value of the layer before -> distribution, each `jax.tree_util.Partial(function, parameters)`, so
    that its parameters can be held still. TypeError for a plain function.

    A draw is a tuple of one example's layers, the lowest first; its log-density is a scalar in nats.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    _check_partial("bottom_up", conditionals)
    factors = (first, *conditionals)
    return Chain(factors, tuple(range(len(factors))))


def top_down(last: Distribution, *conditionals: Conditional) -> Chain:
    """`p(zL) p(zL−1 | zL) …`: drawn from the highest layer down, as a prior p(z2) p(z1 | z2) is.

    `conditionals`: value of the layer before -> distribution, each `jax.tree_util.Partial(function, parameters)`, so
    that its parameters can be held still. TypeError for a plain function.

    A draw is a tuple of one example's layers, the lowest first; its log-density is a scalar in nats.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    _check_partial("top_down", conditionals)
    factors = (last, *conditionals)
    return Chain(factors, tuple(reversed(range(len(factors)))))


def top_down_path(start: Any, factors: Sequence[Conditional], steps: Sequence[Step]) -> Chain:
    """Layers from the highest down along a path of states: a layer may depend on all those above it.

    `start`: the state before the highest layer. `factors[i]`: state -> distribution of a layer, and `steps[i]`:
    `(state, value) -> state` after it, both from the highest layer down. A prior and a posterior of the same steps
    share their path, and the posterior's factors know x besides. A draw is a tuple of one example's layers, the lowest
    first; its log-density is a scalar in nats. ValueError unless there are as many steps as factors.

    Source: Ladder Variational Autoencoders, arXiv 1602.02282; Improved Variational Inference with Inverse
    Autoregressive Flow, arXiv 1606.04934 (bidirectional inference); Very Deep VAEs Generalize Autoregressive Models,
    arXiv 2011.10650.
    """
    _check_partial("top_down_path", (*factors, *steps))
    if not factors or len(factors) != len(steps):
        raise ValueError(f"top_down_path: each factor needs a step, got {len(factors)} factors and {len(steps)} steps.")
    return Chain(tuple(factors), tuple(reversed(range(len(factors)))), start, tuple(steps))
