"""How good a gradient is: its mean, its variance, and the ratio of signal to noise, for any bound and estimator."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count, check_key
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.models.vae import VAE
from vae_jax.objectives.estimators import Estimate


class GradientMoments(NamedTuple):
    """Mean and variance of a gradient over `num_draws` keys, both in the structure of the parameters."""

    mean: Any
    variance: Any
    num_draws: int

    @property
    def standard_error(self) -> Any:
        """The standard error of `mean`, in the structure of the parameters."""
        return jax.tree.map(lambda v: jnp.sqrt(v / self.num_draws), self.variance)


def gradient_moments(
    estimate: Estimate,
    vae: VAE,
    params: Params,
    key: Key,
    x: PyTree,
    *,
    num_samples: int,
    num_draws: int,
    batch_size: int = 100,
) -> GradientMoments:
    """Mean and variance of the gradient of an estimate for one example, over `num_draws` independent draws.

    Gradients are summed in batches of `batch_size`, so memory does not grow with `num_draws`. Draw i has the key
    `fold_in(key, i)`, so two estimators under one key see the same noise. ValueError for fewer than 2 draws.
    """
    check_key("gradient_moments", key)
    check_count("gradient_moments", "num_samples", num_samples)
    check_count("gradient_moments", "num_draws", num_draws)
    check_count("gradient_moments", "batch_size", batch_size)
    if num_draws < 2:
        raise ValueError(f"gradient_moments: a variance needs num_draws of at least 2, got {num_draws}.")
    batch_size = min(batch_size, num_draws)

    def gradient(i: Array) -> Params:
        draw_key = jax.random.fold_in(key, i)
        found = jax.grad(lambda p: estimate(vae, p, draw_key, x, num_samples=num_samples))(params)
        # Sums in half precision would stand still.
        return jax.tree.map(lambda leaf: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)), found)

    # Moments are taken about the first draw: with a mean far above the noise they would cancel in float32.
    reference = gradient(jnp.int32(0))

    def add(sums: tuple[Any, Any], indices: Array) -> tuple[tuple[Any, Any], None]:
        offsets = jax.vmap(lambda i: jax.tree.map(jnp.subtract, gradient(i), reference))(indices)
        first, second = sums
        first = jax.tree.map(lambda total, part: total + jnp.sum(part, axis=0), first, offsets)
        second = jax.tree.map(lambda total, part: total + jnp.sum(jnp.square(part), axis=0), second, offsets)
        return (first, second), None

    whole = num_draws - num_draws % batch_size
    zeros = jax.tree.map(jnp.zeros_like, reference)
    sums, _ = lax.scan(add, (zeros, zeros), jnp.arange(whole).reshape(-1, batch_size))
    if whole < num_draws:
        sums, _ = add(sums, jnp.arange(whole, num_draws))
    mean = jax.tree.map(lambda total: total / num_draws, sums[0])
    variance = jax.tree.map(
        lambda total, m: jnp.maximum(total - num_draws * jnp.square(m), 0.0) / (num_draws - 1), sums[1], mean
    )
    return GradientMoments(jax.tree.map(jnp.add, reference, mean), variance, num_draws)


def signal_to_noise(moments: GradientMoments) -> Array:
    """The mean over parameters of `|E g| / sd(g)`, a scalar; parameters whose gradient never varies are left out.

    For one group of parameters: `signal_to_noise(moments._replace(mean=moments.mean["encoder"],
    variance=moments.variance["encoder"]))`. A gradient of mean zero gives `√(2 / πn)` from n draws, so smaller ratios
    need more draws. For `total(iwae)` the encoder's ratio falls with k as 1/√k; for `dreg(iwae)` it rises as √k.

    Source: Tighter Variational Bounds are Not Necessarily Better, arXiv 1802.04537.
    """
    mean = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(moments.mean)])
    variance = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(moments.variance)])
    varies = variance > 0.0
    ratio = jnp.abs(mean) / jnp.sqrt(jnp.where(varies, variance, 1.0))
    return jnp.sum(jnp.where(varies, ratio, 0.0)) / jnp.maximum(jnp.sum(varies), 1)


def gradient_bias(moments: GradientMoments, reference: GradientMoments) -> tuple[Any, Any]:
    """`(mean − reference mean, its standard error)`, in the structure of the parameters, nats per unit of each.

    `reference`: moments of an unbiased estimator of the same bound, such as `total(bound)`, under another key.
    """
    bias = jax.tree.map(jnp.subtract, moments.mean, reference.mean)
    return bias, jax.tree.map(jnp.hypot, moments.standard_error, reference.standard_error)
