"""Mixtures: of whole events, and of every element by itself."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_key, check_value
from vae_jax.core.trees import num_examples, summed, widened
from vae_jax.core.types import Array, Key, PyTree
from vae_jax.distributions.distribution import draws
from vae_jax.distributions.normal import DiagNormal


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Mixture:
    """`log p(v) = log Σ_c π_c p_c(v)`, π = softmax(`logits`) `[C]`.

    `components`: C distributions of one kind as one value, its leaves stacked, `[C, …]`: what `jax.vmap` makes of them.
    Not reparameterised: which component a sample is of carries no gradient. ValueError where a leaf is not stacked.
    """

    logits: Array
    components: Any
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> Any:
        """Shape of one value."""
        return jax.tree.map(jnp.shape, jax.eval_shape(self.sample, jax.random.key(0)))

    def _check(self) -> None:
        sizes = [jnp.shape(leaf)[:1] for leaf in jax.tree.leaves((self.logits, self.components))]
        if len(set(sizes)) > 1 or sizes[0] == ():
            shapes = jax.tree.map(jnp.shape, jax.tree.leaves(self.components))
            raise ValueError(
                f"Mixture: the logits have the shape {jnp.shape(self.logits)}, so every leaf of the components must be "
                f"stacked, [C, …], got shapes {shapes}. For a scale that all share: jnp.full((C, d), scale)."
            )

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Any:
        """Values of shape `shape + event_shape`: a component, then a sample of it."""
        check_key("Mixture.sample", key, shape)
        self._check()

        def one(key: Key) -> Any:
            choice_key, value_key = jax.random.split(key)
            chosen = jax.random.categorical(choice_key, widened(self.logits))
            return jax.tree.map(lambda leaf: leaf[chosen], self.components).sample(value_key)

        return draws(one, key, shape)

    def log_prob(self, value: Any) -> Array:
        """Log-density in nats, a scalar."""
        self._check()
        if isinstance(self.components, DiagNormal):
            log_probs = _of_normals(self.components, value)
        else:
            log_probs = jax.vmap(lambda component: component.log_prob(value))(self.components)
        return jax.nn.logsumexp(jax.nn.log_softmax(widened(self.logits)) + log_probs)


@jax.custom_batching.custom_vmap
def _joint_maximum(x: Array) -> Array:
    """`x`, and under `jax.vmap` the largest of all: one number, so that a choice made by it stays one."""
    return x


@_joint_maximum.def_vmap
def _(axis_size: int, in_batched: list[bool], x: Array) -> tuple[Array, bool]:
    del axis_size, in_batched
    return _joint_maximum(jnp.max(x, axis=0)), False


def _of_normals(components: DiagNormal, value: Array) -> Array:
    """`[C]` log-densities of one value: by products of matrices where these are right to a thousandth of a nat.

    The products lose the digits of a squared distance that is small beside the squared distances of value and component
    from the middle of the components, all in units of σ: in float32 about 1e-7 of these. The value's may be left out:
    where it is much larger than the component's so is the distance, and the error is a rounding of that. Under
    `jax.vmap` the choice is made once for all. Components one by one take three times as long on a CPU
    (`benchmarks/mixture.py`).
    """
    mean, stddev = jax.vmap(lambda component: (component.mean, component.stddev))(components)
    check_value("Mixture", value, mean.shape[1:])
    # Squared distances of narrower numbers would have no digits left.
    wide = jnp.promote_types(mean.dtype, jnp.float32)
    mean, stddev, value = mean.astype(wide), stddev.astype(wide), jnp.asarray(value, wide)
    # Any centre gives the same; one in the middle loses least.
    centre = jnp.mean(lax.stop_gradient(mean), axis=0)
    offset = lax.stop_gradient((mean - centre[None]) / stddev)
    farthest = jnp.max(jnp.sum(jnp.square(offset.reshape(offset.shape[0], -1)), axis=1))
    near = _joint_maximum(farthest) * jnp.finfo(offset.dtype).eps < 1e-3
    return lax.cond(near, _by_products, _one_by_one, DiagNormal(mean, stddev), value, centre)


def _one_by_one(components: DiagNormal, value: Array, centre: Array) -> Array:
    """In sequence, and again for the gradient: all distances of a batch at once are slow to read and write."""
    del centre
    return lax.map(jax.checkpoint(lambda component: component.log_prob(value)), components)


def _by_products(components: DiagNormal, value: Array, centre: Array) -> Array:
    """Squared distances expanded into products with matrices: over a batch of values a matrix product."""
    v = jnp.ravel(value - centre)
    m = (components.mean - centre[None]).reshape(-1, v.size)
    stddev = components.stddev.reshape(m.shape)
    precision = jnp.square(1.0 / stddev)
    # One product of both terms: two of them, each rounded by itself, would lose more.
    left = jnp.concatenate([precision, -2.0 * precision * m], axis=1)
    right = jnp.concatenate([jnp.square(v), v])
    squared = jnp.dot(left, right, precision=lax.Precision.HIGHEST) + jnp.sum(precision * jnp.square(m), axis=1)
    return -0.5 * squared - jnp.sum(jnp.log(stddev), axis=1) - 0.5 * math.log(2.0 * math.pi) * v.size


def vamp_prior(encode: Any, params: PyTree, pseudo_inputs: PyTree, logits: Array | None = None) -> Mixture:
    """The VampPrior: `p(z) = Σ_c π_c q(z | u_c)`, the posterior mixed over C pseudo-inputs `[C, *shape of x]`.

    `encode` and `params` are the model's own, and both they and the pseudo-inputs learn. `logits` `[C]`: uniform
    by default.

    Source: VAE with a VampPrior, arXiv 1705.07120.
    """
    if logits is None:
        logits = jnp.zeros(num_examples(pseudo_inputs))
    return Mixture(logits, jax.vmap(encode, in_axes=(None, 0))(params, pseudo_inputs))


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class ElementMixture:
    """A mixture for every element by itself: `log p(v) = Σ_j log Σ_c π_jc p_jc(v_j)`.

    `logits` `[*event_shape, C]`; `components`: a distribution with `log_probs` whose event shape is
    `[*event_shape, C]`. Of `DiscretisedLogistic` it is the likelihood of PixelCNN++, arXiv 1701.05517.
    """

    logits: Array
    components: Any
    reparameterised: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return jnp.shape(self.logits)[:-1]

    @property
    def mean(self) -> Array:
        """The mean of the components' means."""
        return jnp.sum(jax.nn.softmax(self.logits) * self.components.mean, axis=-1)

    def sample(self, key: Key, shape: tuple[int, ...] = ()) -> Array:
        """Values of shape `shape + event_shape`. Not reparameterised: no gradient."""
        check_key("ElementMixture.sample", key, shape)
        choice_key, value_key = jax.random.split(key)
        shape = (*shape, *self.event_shape)
        of_each = self.components.sample(value_key, shape[: len(shape) - len(self.event_shape)])
        chosen = jax.random.categorical(choice_key, jnp.broadcast_to(widened(self.logits), of_each.shape))
        return jnp.take_along_axis(of_each, chosen[..., None], axis=-1)[..., 0]

    def log_prob(self, value: Array) -> Array:
        """Log-density in nats, a scalar."""
        return summed(self.log_probs(value))

    def log_probs(self, value: Array) -> Array:
        """Log-density of every element, in the event shape, nats."""
        check_value("ElementMixture", value, self.event_shape)
        repeated = jnp.broadcast_to(jnp.asarray(value)[..., None], jnp.shape(self.logits))
        by_component = self.components.log_probs(repeated)
        return jax.nn.logsumexp(jax.nn.log_softmax(widened(self.logits)) + by_component, axis=-1)
