"""What was not observed, given what was."""

import jax
import jax.numpy as jnp
from jax import lax

from vae_jax.core.checks import check_count
from vae_jax.core.keys import as_threefry
from vae_jax.core.types import Array, Key, Params, PyTree
from vae_jax.distributions import Masked, Observed, sample_and_log_prob
from vae_jax.models.vae import VAE, posterior_and_prior

# Samples that are weighed at a time, and completions that are drawn at a time.
_CHUNK = 100


def impute(vae: VAE, params: Params, key: Key, x: Observed, *, num_samples: int = 1000, num_draws: int = 100) -> PyTree:
    """`num_draws` completions of one example: its gaps drawn from p(missing | observed), the rest as it is.

    Sampling importance resampling: `num_samples` draws of z, weighed by p(observed, z) / q(z | x), then as many
    of them as draws are wanted, then x given each. Average the draws for means, count them for choices. The result
    has the shapes of `x.value` with a first axis of `num_draws`, and their type, or holds reals where they are drawn
    for whole numbers. TypeError unless the model's likelihood is `Masked`.

    Of the samples only the numbers of the chosen are kept, so memory does not grow with `num_samples`, and with
    `num_draws` by the completions themselves.

    Source: MIWAE: Deep Generative Modelling and Imputation of Incomplete Data, arXiv 1812.02633.
    """
    check_count("impute", "num_samples", num_samples)
    check_count("impute", "num_draws", num_draws)
    posterior, prior = posterior_and_prior("impute", vae, params, key, x)
    # A chosen sample is drawn again, among others, and must be the same.
    z_key, choice_key, x_key = jax.random.split(as_threefry(key), 3)

    def sample(i: Array) -> tuple[PyTree, Array]:
        return sample_and_log_prob(posterior, jax.random.fold_in(z_key, i))

    def log_weight(i: Array) -> Array:
        z, log_q = sample(i)
        likelihood = vae.decode(params, z)
        if not isinstance(likelihood, Masked):
            raise TypeError(
                f"impute: decode must give a Masked likelihood, got {type(likelihood).__name__}. Wrap the model: "
                "decode=lambda params, z: Masked(vae.decode(params, z)), and encode=lambda params, x: "
                "vae.encode(params, jnp.where(x.mask, x.value, jnp.nan)) where the encoder reads NaN for a gap; x = "
                "Observed(value, mask)."
            )
        return prior.log_prob(z) + likelihood.log_prob(x) - log_q

    chunk = min(_CHUNK, num_samples)

    def keep_largest(best: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], None]:
        """The largest of log-weight + Gumbel noise over all samples has the distribution of the weights."""
        places = number * chunk + jnp.arange(chunk, dtype=jnp.int32)
        log_w = jnp.where(places < num_samples, jax.vmap(log_weight)(places), -jnp.inf)
        noise = jax.random.gumbel(jax.random.fold_in(choice_key, number), (num_draws, chunk), log_w.dtype)
        score = log_w[None] + noise
        here = jnp.argmax(score, axis=1)
        score = jnp.max(score, axis=1)
        return (jnp.where(score > best[1], places[here], best[0]), jnp.maximum(score, best[1])), None

    weight = jax.eval_shape(log_weight, jnp.zeros((), jnp.int32))
    nothing = jnp.zeros(num_draws, jnp.int32), jnp.full(num_draws, -jnp.inf, weight.dtype)
    (chosen, _), _ = lax.scan(keep_largest, nothing, jnp.arange(-(-num_samples // chunk), dtype=jnp.int32))

    def complete(draw: tuple[Key, Array]) -> PyTree:
        key, place = draw
        drawn = vae.decode(params, sample(place)[0]).sample(key).value
        return jax.tree.map(_fill, x.value, x.mask, drawn)

    return lax.map(complete, (jax.random.split(x_key, num_draws), chosen), batch_size=min(_CHUNK, num_draws))


def _fill(value: Array, mask: Array, drawn: Array) -> Array:
    kind = jnp.result_type(value)
    # Reals beside whole numbers stay reals.
    if jnp.issubdtype(drawn.dtype, jnp.floating) and not jnp.issubdtype(kind, jnp.floating):
        kind = jnp.result_type(kind, drawn)
    return jnp.where(mask, value, drawn.astype(kind))
