"""The model: a record of three pure functions of the parameters, and what follows from them alone.

Every function takes ONE example `x`; for a batch, the caller writes `jax.vmap`:

    keys = jax.random.split(key, len(xs))
    log_w = jax.vmap(lambda key, x: log_weights(vae, params, key, x, num_samples=50))(keys, xs)   # [B, 50]

`x` and `z` may be any pytrees.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.core.checks import check_count, check_key
from vae_jax.core.mesh import SAMPLES, along
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import sample_and_log_prob
from vae_jax.distributions.distribution import discrete


class VAE(NamedTuple):
    """A variational autoencoder: three pure functions.

    `encode(params, x)` is q(z | x), `decode(params, z)` is p(x | z), `prior(params)` is p(z). Source: Auto-Encoding
    Variational Bayes, arXiv 1312.6114.
    """

    encode: Callable[[Params, Any], Any]
    decode: Callable[[Params, Any], Any]
    prior: Callable[[Params], Any]


class Autoencoder(NamedTuple):
    """An autoencoder: two pure functions and no prior, so it cannot be sampled and has no density p(x).

    `encode(params, x)` is the distribution of the code, a `PointMass` where the code is a function of x.
    `decode(params, z)` is the distribution of x. A `VAE` can stand wherever an `Autoencoder` is asked for.
    """

    encode: Callable[[Params, Any], Any]
    decode: Callable[[Params, Any], Any]


def posterior_and_prior(where: str, vae: VAE, params: Params, key: Key, x: PyTree) -> tuple[Any, Any]:
    """`(q(z | x), p(z))`. ValueError, at trace time, unless x is one example and z has the same shape in both.

    TypeError for a prior that is no function, and where one of the three gives no distribution.

    The expected shapes are those of a sample z of the prior and of a sample of p(x | z); neither is computed.
    """
    check_key(where, key)
    if not callable(vae.prior):
        raise TypeError(
            f"{where}: the prior of a VAE is a function of the parameters, prior=lambda params: …, got a value of "
            f"{type(vae.prior).__name__}."
        )
    prior = _distribution(where, "prior", vae.prior(params))

    def draw(key: Key) -> tuple[Any, Any]:
        z_key, x_key = jax.random.split(key)
        z = prior.sample(z_key)
        return z, _distribution(where, "decode", vae.decode(params, z)).sample(x_key)

    # In one trace: in a `shard_map` z varies over the devices, which its shape alone does not say.
    z, drawn = jax.eval_shape(draw, key)
    expected = _shapes(drawn)
    if _shapes(x) != expected:
        advice = "So says p(x | z), which decode gives, and the two must agree."
        if jax.tree.map(lambda leaf: jnp.shape(leaf)[1:], x) == expected:
            vmapped = f"jax.vmap(lambda key, x: {where}(…, key, x))"
            size = jnp.shape(jax.tree.leaves(x)[0])[0]
            advice = f"For a batch: {vmapped}(jax.random.split(key, {size}), xs)."
        raise ValueError(f"{where}: x must be one example of shape {expected}, got {_shapes(x)}. {advice}")
    posterior = _distribution(where, "encode", vae.encode(params, x))
    encoded = _shapes(jax.eval_shape(posterior.sample, key))
    if encoded != _shapes(z):
        raise ValueError(f"{where}: encode gives z of shape {encoded}, but the prior has shape {_shapes(z)}.")
    return posterior, prior


def _distribution(where: str, name: str, value: Any) -> Any:
    """What a function of a VAE gave; TypeError where it is an array, or a pair of them."""
    if hasattr(value, "sample") and hasattr(value, "log_prob"):
        return value
    given = "an array" if isinstance(value, jax.Array) else f"a {type(value).__name__}"
    raise TypeError(
        f"{where}: {name} of a VAE gives a distribution, as vj.DiagNormal(mean, scale) or vj.Bernoulli(logits), got "
        f"{given}."
    )


def _shapes(tree: PyTree) -> PyTree:
    return jax.tree.map(jnp.shape, tree)


def over_samples(function: Callable[[Key], Any], key: Key, num_samples: int) -> Any:
    """`function(key)` for each of k = `num_samples` keys, the results stacked to `[k, …]`.

    Sample i has the key `fold_in(key, i)`: it depends neither on k nor on how k is cut into chunks. Where a mesh is
    set, they are cut along its axis `samples`.
    """
    if num_samples == 1:
        # XLA on CPU loses time on an axis of length one (`benchmarks/epoch.py` is the step that feels it).
        return jax.tree.map(lambda leaf: leaf[None], function(jax.random.fold_in(key, 0)))
    return jax.vmap(lambda i: function(jax.random.fold_in(key, i)))(along(SAMPLES, jnp.arange(num_samples)))


def log_weights(vae: VAE, params: Params, key: Key, x: PyTree, *, num_samples: int) -> Array:
    """`log p(x, z_i) − log q(z_i | x)` for `num_samples` draws `z_i ~ q(z | x)`: shape `(k,)`, in nats.

    The full gradient flows, through the samples and through every density. ValueError for a batch instead of
    one example or `num_samples < 1`, TypeError for a key that is not typed.

    Source: Importance Weighted Autoencoders, arXiv 1509.00519.
    """
    check_count("log_weights", "num_samples", num_samples)
    return over_samples(one_log_weight("log_weights", vae, params, key, x), key, num_samples)


def one_log_weight(where: str, vae: VAE, params: Params, key: Key, x: PyTree) -> Callable[[Key], Array]:
    """`key -> log p(x, z) − log q(z | x)` for one draw of z. x is encoded once, however often the result is called."""
    posterior, prior = posterior_and_prior(where, vae, params, key, x)

    def log_weight(key: Key) -> Array:
        z, log_q = sample_and_log_prob(posterior, key)
        return prior.log_prob(z) + vae.decode(params, z).log_prob(x) - log_q

    return log_weight


def generate(vae: VAE, params: Params, key: Key) -> Any:
    """p(x | z) for one `z ~ p(z)`: a distribution of one example, of which the caller takes the mean or a sample."""
    check_key("generate", key)
    return vae.decode(params, vae.prior(params).sample(key))


def reconstruct(vae: VAE, params: Params, key: Key, x: PyTree) -> Any:
    """p(x | z) for one `z ~ q(z | x)`, a distribution of one example: take its mean or a sample.

    ValueError for a batch of x.
    """
    posterior, _ = posterior_and_prior("reconstruct", vae, params, key, x)
    return vae.decode(params, posterior.sample(key))


def typical(distribution: Any, key: Key) -> Any:
    """What a picture of p(x | z) shows: its mean, or one sample where the mean has no closed form."""
    return distribution.mean if hasattr(distribution, "mean") else distribution.sample(key)


def discretised(vae: VAE) -> VAE:
    """The model with each relaxed part of posterior and prior replaced by its discrete distribution (`.discrete`).

    Its codes are one-hot, of the same shapes. It measures a model that was trained with relaxed samples:
    `log_marginal(discretised(vae), …)`. Source: The Concrete Distribution, arXiv 1611.00712.
    """

    return VAE(
        encode=lambda params, x: discrete(vae.encode(params, x)),
        decode=vae.decode,
        prior=lambda params: discrete(vae.prior(params)),
    )
