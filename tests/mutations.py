"""Wrong implementations, one for each law of `laws.py`: a check that passes them says nothing."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import vae_jax as vj
from vae_jax.core.trees import freeze
from vae_jax.objectives.bounds import has_path_weights, path_weights


@jax.tree_util.register_static
class Leaky:
    """A distribution that hides its parameters from `freeze`: it is not a pytree of them."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def log_prob(self, value: Any) -> Any:
        return self.inner.log_prob(value)


class Tilted(NamedTuple):
    """A distribution whose density is off by a factor that depends on its parameters."""

    inner: Any
    tilt: Any = 0.05

    def sample(self, key: Any, shape: Any = ()) -> Any:
        return self.inner.sample(key, shape)

    def log_prob(self, value: Any) -> Any:
        weight = sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(self.inner))
        return self.inner.log_prob(value) + self.tilt * (1.0 + weight)


class Mutated(NamedTuple):
    """A distribution that samples from another one."""

    inner: Any
    other: Any

    def sample(self, key: Any, shape: Any = ()) -> Any:
        return self.other.sample(key, shape)

    def log_prob(self, value: Any) -> Any:
        return self.inner.log_prob(value)

    def sample_and_log_prob(self, key: Any) -> Any:
        return self.inner.sample(key), self.other.log_prob(self.inner.sample(key))

    def sample_and_path_log_prob(self, key: Any) -> Any:
        return self.sample_and_log_prob(key)


def perturbed(d: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf * 1.1 + 0.1, d)


def naive_bernoulli(s: Any) -> Any:
    class Naive:
        logits = s * jnp.array([1e4, -1e4, 0.0])

        def sample(self, key: Any) -> Any:
            return jnp.array([0.0, 1.0, 1.0])

        def log_prob(self, v: Any) -> Any:
            p = jax.nn.sigmoid(self.logits)
            return jnp.sum(v * jnp.log(p) + (1 - v) * jnp.log(1 - p))

    return Naive()


def elbo_twice_the_kl(*arguments: Any, **options: Any) -> Any:
    terms = vj.elbo_terms(*arguments, **options)
    return terms._replace(kl=2 * terms.kl)


def with_wrong_path_weights(bound: Any) -> Any:
    """The bound itself, with path weights that are a tenth too large."""
    return has_path_weights(lambda log_w: 1.1 * path_weights(bound, log_w))(lambda log_w: bound(log_w))


def score_without_score(bound: Any) -> Any:
    def estimate(vae: Any, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        frozen = vae._replace(encode=lambda p, x: freeze(vae.encode(p, x)))
        return vj.total(bound)(frozen, params, key, x, num_samples=num_samples)

    return estimate


def other_key_inside_jit(estimate: Any) -> Any:
    def wrong(vae: Any, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        traced = isinstance(key, jax.core.Tracer)
        return estimate(vae, params, jax.random.fold_in(key, traced), x, num_samples=num_samples)

    return wrong


def retracing(bound: Any) -> Any:
    def estimate(vae: Any, params: Any, key: Any, x: Any, *, num_samples: int) -> Any:
        vj.total(bound)(vae, params, key, x, num_samples=num_samples)
        return vj.total(bound)(vae, params, key, x, num_samples=num_samples)

    return estimate


def loose(bound: Any) -> Any:
    return lambda log_w: bound(log_w) + 0.2
