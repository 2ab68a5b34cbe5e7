"""Networks for sequences of grammar rules: convolutions that read them, and a recurrent decoder that writes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from vae_jax.core.types import Array
from vae_jax.distributions import Derivation
from vae_jax.languages.grammar import Grammar


class RuleConvolutions(nn.Module):
    """Numbers of rules 0..`size` − 1, `[T]`, to features `[h]`: each layer halves the length.

    A convolution of 4 places and stride 2 is one matrix product (see `vae_jax.nets.conv` for why).
    """

    size: int
    channels: Sequence[int]
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        hidden = jax.nn.one_hot(x, self.size)
        for channels in self.channels:
            padded = jnp.pad(hidden, ((1, 1 + len(hidden) % 2), (0, 0)))
            half = len(padded) // 2 - 1
            patches = [padded[i : i + 2 * half : 2] for i in range(4)]
            hidden = self.activation(nn.Dense(channels)(jnp.concatenate(patches, axis=-1)))
        return jnp.ravel(hidden)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Recurrent:
    """The network of a `Derivation`: a gated recurrent unit that sees the previous rule and z at every step."""

    params: Any
    z: Array
    start: Array
    cell: nn.GRUCell = field(metadata={"static": True})

    def embed(self, rule: Array) -> Array:
        """The input after `rule`: its embedding and z, `[e + d]`, or z alone where there is no embedding."""
        if "embedding" not in self.params:
            return self.z
        return jnp.concatenate([self.params["embedding"][rule], self.z])

    def step(self, state: Array, seen: Array) -> tuple[Array, Array]:
        """`(state, features)` after one more input: the same array `[h]` twice."""
        return self.cell.apply({"params": self.params["cell"]}, state, seen)  # pyright: ignore[reportReturnType]

    def logits(self, features: Array) -> Array:
        """The logits of each rule and of the end: `[R + 1]`."""
        return features @ self.params["kernel"] + self.params["bias"]


class DerivationDecoder(nn.Module):
    """p(x | z), derivations of a grammar: `z [d] -> Derivation` of `[length]`.

    `embedding`: size of the embedding of the previous rule. With 0 the network does not see that rule, and rules depend
    on one another through the grammar alone, as in Grammar Variational Autoencoder, arXiv 1703.01925.
    """

    grammar: Grammar
    length: int
    hidden: int
    embedding: int

    @nn.compact
    def __call__(self, z: Array) -> Derivation:
        size = self.grammar.end + 1
        cell = nn.GRUCell(self.hidden, parent=None)
        start = jnp.zeros(self.embedding + len(z))
        params = {
            "cell": self.param("cell", lambda key: cell.init(key, jnp.zeros(self.hidden), start)["params"]),
            "kernel": self.param("kernel", nn.initializers.lecun_normal(), (self.hidden, size)),
            "bias": self.param("bias", nn.initializers.zeros_init(), (size,)),
        }
        # An array of no elements could not be saved.
        if self.embedding:
            params["embedding"] = self.param("embedding", nn.initializers.normal(1.0), (size, self.embedding))
        start = jnp.tanh(nn.Dense(self.hidden)(z))
        return Derivation(Recurrent(params, z, start, cell), self.grammar, self.length)
